// Draws one panel as the panel of its type in Grafana does, with Grafana's own components.
import { firstValueFrom } from 'rxjs';
import { Component, useEffect, useState } from 'react';
import {
  applyFieldOverrides,
  dateTime,
  getDisplayValueAlignmentFactors,
  getFieldDisplayValues,
  renderTextPanelMarkdown,
  transformDataFrame,
} from '@grafana/data';
import { BarGauge, BigValue, PanelChrome, Table, TimeSeries, VizRepeater, useTheme2 } from '@grafana/ui';
import { framesOf } from './prometheus.js';
import { fieldConfigOf, registry } from './fields.js';

const TIME_ZONE = 'utc';
const asIs = (text) => text;

export function Panel({ panel, context, width, height, report }) {
  const [answer, setAnswer] = useState(null);
  useEffect(() => {
    prepared(panel, context, width)
      .then((frames) => setAnswer({ frames }))
      .catch((error) => setAnswer({ error: String(error.stack ?? error) }));
  }, []);
  useEffect(() => {
    if (answer) report(panel, answer);
  }, [answer]);
  return (
    <PanelChrome title={panel.title} description={panel.description} width={width} height={height} padding="none">
      {(innerWidth, innerHeight) =>
        answer?.frames && (
          <Caught failed={(error) => report(panel, { error: String(error.stack ?? error) })}>
            <Content panel={panel} {...{ context, innerWidth, innerHeight }} frames={answer.frames} />
          </Caught>
        )
      }
    </PanelChrome>
  );
}

// A panel that cannot be drawn is reported; the others are drawn.
class Caught extends Component {
  state = { error: null };
  static getDerivedStateFromError(error) {
    return { error };
  }
  componentDidCatch(error) {
    this.props.failed(error);
  }
  render() {
    return this.state.error ? String(this.state.error) : this.props.children;
  }
}

async function prepared(panel, context, width) {
  const frames = await framesOf(panel, context, width);
  if (!panel.transformations) return frames;
  return firstValueFrom(transformDataFrame(panel.transformations, frames, { interpolate: asIs }));
}

function Content({ panel, context, frames, innerWidth, innerHeight }) {
  const theme = useTheme2();
  const fieldConfig = fieldConfigOf(panel);
  const data = applyFieldOverrides({
    data: frames,
    fieldConfig,
    fieldConfigRegistry: registry,
    replaceVariables: asIs,
    theme,
    timeZone: TIME_ZONE,
  });
  const size = { width: innerWidth, height: innerHeight };
  const Kind = { timeseries: Lines, stat: Numbers, bargauge: Bars, table: Rows, text: Text }[panel.type];
  return <Kind {...{ panel, context, data, fieldConfig, theme, size }} />;
}

function NothingToShow({ words, size }) {
  const style = { ...size, display: 'flex', alignItems: 'center', justifyContent: 'center', opacity: 0.6 };
  return <div style={style}>{words}</div>;
}

function Lines({ panel, context, data, fieldConfig, size }) {
  if (data.length === 0) return <NothingToShow words={fieldConfig.defaults.noValue} size={size} />;
  const from = dateTime(context.from * 1000);
  const to = dateTime(context.to * 1000);
  return (
    <div style={{ padding: 8 }}>
      <TimeSeries
        frames={data}
        structureRev={1}
        timeRange={{ from, to, raw: { from, to } }}
        timeZone={TIME_ZONE}
        legend={panel.options.legend}
        options={panel.options}
        width={size.width - 16}
        height={size.height - 16}
      />
    </div>
  );
}

function displayValues({ panel, data, fieldConfig, theme }) {
  return getFieldDisplayValues({
    data,
    fieldConfig,
    reduceOptions: panel.options.reduceOptions,
    replaceVariables: asIs,
    theme,
    timeZone: TIME_ZONE,
  });
}

function Numbers(props) {
  const { panel, theme, size } = props;
  const values = displayValues(props);
  return (
    <VizRepeater
      {...size}
      source={values}
      getValues={() => values}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      orientation="auto"
      itemSpacing={3}
      renderValue={({ value, alignmentFactors, width, height, count }) => (
        <BigValue
          value={value.display}
          count={count}
          colorMode={panel.options.colorMode}
          graphMode={panel.options.graphMode}
          justifyMode={panel.options.justifyMode}
          textMode={panel.options.textMode}
          text={panel.options.text}
          alignmentFactors={alignmentFactors}
          width={width}
          height={height}
          theme={theme}
        />
      )}
    />
  );
}

function Bars(props) {
  const { panel, theme, size } = props;
  const values = displayValues(props);
  const padded = { width: size.width - 16, height: size.height - 16 };
  return (
    <div style={{ padding: 8 }}>
      <VizRepeater
        {...padded}
        source={values}
        getValues={() => values}
        getAlignmentFactors={getDisplayValueAlignmentFactors}
        orientation="horizontal"
        itemSpacing={10}
        minVizHeight={16}
        maxVizHeight={panel.options.maxVizHeight}
        renderValue={({ value, alignmentFactors, width, height }) => (
          <BarGauge
            value={value.display}
            field={value.field}
            display={value.view?.getFieldDisplayProcessor(value.colIndex)}
            alignmentFactors={alignmentFactors}
            orientation="horizontal"
            displayMode={panel.options.displayMode}
            text={panel.options.text}
            valueDisplayMode={panel.options.valueMode}
            namePlacement={panel.options.namePlacement}
            showUnfilled={panel.options.showUnfilled}
            itemSpacing={8}
            lcdCellWidth={12}
            isOverflow={false}
            width={width}
            height={height}
            theme={theme}
          />
        )}
      />
    </div>
  );
}

// The table of Grafana 11: the newer one cannot be drawn by what npm has.
function Rows({ panel, data, size }) {
  if (data.length === 0 || data[0].length === 0) return <NothingToShow words="no data" size={size} />;
  return (
    <Table data={data[0]} {...size} initialSortBy={panel.options.sortBy} cellHeight={panel.options.cellHeight} />
  );
}

function Text({ panel, size }) {
  const html = renderTextPanelMarkdown(panel.options.content);
  return (
    <div
      className="markdown-html"
      style={{ ...size, padding: 8, overflow: 'hidden' }}
      dangerouslySetInnerHTML={{ __html: html }}
    />
  );
}
