// What a Grafana server registers at its start and the published libraries leave out: the settings of fields, their
// defaults for lines, and the transformations.
import {
  FieldConfigOptionsRegistry,
  booleanOverrideProcessor,
  dataLinksOverrideProcessor,
  displayNameOverrideProcessor,
  identityOverrideProcessor,
  numberOverrideProcessor,
  standardFieldConfigEditorRegistry,
  standardTransformers,
  standardTransformersRegistry,
  stringOverrideProcessor,
  thresholdsOverrideProcessor,
  unitOverrideProcessor,
  valueMappingsOverrideProcessor,
} from '@grafana/data';

const STANDARD = {
  displayName: displayNameOverrideProcessor,
  unit: unitOverrideProcessor,
  decimals: numberOverrideProcessor,
  min: numberOverrideProcessor,
  max: numberOverrideProcessor,
  noValue: stringOverrideProcessor,
  color: identityOverrideProcessor,
  links: dataLinksOverrideProcessor,
  mappings: valueMappingsOverrideProcessor,
  thresholds: thresholdsOverrideProcessor,
  filterable: booleanOverrideProcessor,
};

const LINE = {
  drawStyle: 'line',
  lineInterpolation: 'linear',
  lineWidth: 1,
  fillOpacity: 0,
  gradientMode: 'none',
  barAlignment: 0,
  barWidthFactor: 0.6,
  showPoints: 'auto',
  pointSize: 5,
  spanNulls: false,
  axisPlacement: 'auto',
  axisColorMode: 'text',
  axisBorderShow: false,
  axisCenteredZero: false,
  scaleDistribution: { type: 'linear' },
  hideFrom: { tooltip: false, viz: false, legend: false },
  thresholdsStyle: { mode: 'off' },
  stacking: { mode: 'none', group: 'A' },
};
const CELL = ['width', 'minWidth', 'align', 'cellOptions', 'inspect', 'filterable', 'hidden'];

const item = (id, process) => ({ id, path: id, name: id, process, shouldApply: () => true, settings: {} });
const custom = (path) => ({ ...item(path, identityOverrideProcessor), id: `custom.${path}`, isCustom: true });

const standard = Object.entries(STANDARD).map(([id, process]) => item(id, process));
export const registry = new FieldConfigOptionsRegistry(() => [
  ...standard,
  ...[...Object.keys(LINE), ...CELL.filter((path) => !(path in LINE))].map(custom),
]);

export function registerWithGrafana() {
  standardFieldConfigEditorRegistry.setInit(() => standard);
  standardTransformersRegistry.setInit(() =>
    [standardTransformers.mergeTransformer, standardTransformers.organizeFieldsTransformer].map((transformation) => ({
      id: transformation.id,
      name: transformation.name,
      transformation,
    }))
  );
}

// The first threshold has no lower end, which JSON cannot say and a server puts in when it loads a dashboard.
function withoutLowerEnd(thresholds) {
  const [first, ...others] = thresholds.steps;
  return { ...thresholds, steps: [{ ...first, value: -Infinity }, ...others] };
}

const GRAFANAS_THRESHOLDS = { mode: 'absolute', steps: [{ value: null, color: 'green' }, { value: 80, color: 'red' }] };

export function fieldConfigOf(panel) {
  const { defaults, overrides } = panel.fieldConfig;
  return {
    defaults: {
      ...defaults,
      thresholds: withoutLowerEnd(defaults.thresholds ?? GRAFANAS_THRESHOLDS),
      custom: panel.type === 'timeseries' ? { ...LINE, ...defaults.custom } : defaults.custom,
    },
    overrides: overrides.map((override) => ({
      ...override,
      properties: override.properties.map((property) =>
        property.id === 'thresholds' ? { ...property, value: withoutLowerEnd(property.value) } : property
      ),
    })),
  };
}
