// Asks Prometheus what a panel asks, and makes Grafana's data frames of the answers.
import { FieldType, createDataFrame, rangeUtil } from '@grafana/data';

const SCRAPE_INTERVAL_SECONDS = 15;

// The documented value of Grafana for a variable: several chosen values become an alternative.
function interpolate(expression, values, builtin) {
  return expression.replace(/\$(?:\{(\w+)\}|(\w+))/g, (_, braced, bare) => {
    const name = braced ?? bare;
    if (name in builtin) return builtin[name];
    const chosen = values[name];
    if (chosen === undefined) throw new Error(`no value for $${name}`);
    return chosen.length === 1 ? chosen[0] : `(${chosen.join('|')})`;
  });
}

async function ask(url, path, parameters) {
  const response = await fetch(`${url}/api/v1/${path}`, { method: 'POST', body: new URLSearchParams(parameters) });
  const body = await response.json();
  if (body.status !== 'success') throw new Error(body.error);
  return body.data.result;
}

function named(legend, labels) {
  if (legend === '__auto') {
    const { __name__: name = '', ...others } = labels;
    const text = Object.entries(others).map(([key, value]) => `${key}="${value}"`);
    return text.length ? `${name}{${text.join(', ')}}` : name || 'Value';
  }
  return legend.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => labels[label] ?? '');
}

// A missing point is a null, so that a gap is drawn as a gap.
function seriesFrame(series, legend, refId, from, to, step) {
  const known = new Map(series.values.map(([time, value]) => [Math.round(time), Number(value)]));
  const times = [];
  for (let time = from; time <= to; time += step) times.push(time);
  return createDataFrame({
    refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: times.map((time) => time * 1000), config: { interval: step * 1000 } },
      {
        name: 'Value',
        type: FieldType.number,
        values: times.map((time) => known.get(time) ?? null),
        labels: series.metric,
        config: { displayNameFromDS: named(legend, series.metric) },
      },
    ],
  });
}

function momentFrame(series, legend, refId) {
  const [time, value] = series.value;
  return createDataFrame({
    refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: [time * 1000], config: {} },
      {
        name: 'Value',
        type: FieldType.number,
        values: [Number(value)],
        labels: series.metric,
        config: { displayNameFromDS: named(legend, series.metric) },
      },
    ],
  });
}

function tableFrame(result, refId) {
  const labels = [...new Set(result.flatMap((series) => Object.keys(series.metric)))].sort();
  const fields = [{ name: 'Time', type: FieldType.time, values: result.map((series) => series.value[0] * 1000), config: {} }];
  for (const label of labels) {
    const values = result.map((series) => series.metric[label] ?? '');
    fields.push({ name: label, type: FieldType.string, values, config: { filterable: true } });
  }
  fields.push({
    name: `Value #${refId}`,
    type: FieldType.number,
    values: result.map((series) => Number(series.value[1])),
    config: {},
  });
  return createDataFrame({ refId, fields });
}

// The frames of all queries of a panel that is `width` pixels wide.
export async function framesOf(panel, { prometheus, values, from, to }, width) {
  const range = { from: { valueOf: () => from * 1000 }, to: { valueOf: () => to * 1000 } };
  const { intervalMs } = rangeUtil.calculateInterval(range, width, panel.interval);
  const step = Math.max(1, Math.round(intervalMs / 1000));
  const builtin = {
    __interval: `${step}s`,
    __rate_interval: `${Math.max(step + SCRAPE_INTERVAL_SECONDS, 4 * SCRAPE_INTERVAL_SECONDS)}s`,
    __range: `${to - from}s`,
  };
  const answers = (panel.targets ?? []).map(async (target) => {
    const query = interpolate(target.expr, values, builtin);
    if (target.instant) {
      const result = await ask(prometheus, 'query', { query, time: to });
      if (target.format === 'table') return result.length ? [tableFrame(result, target.refId)] : [];
      return result.map((series) => momentFrame(series, target.legendFormat, target.refId));
    }
    const start = Math.floor(from / step) * step;
    const end = Math.floor(to / step) * step;
    const result = await ask(prometheus, 'query_range', { query, start, end, step });
    return result.map((series) => seriesFrame(series, target.legendFormat, target.refId, start, end, step));
  });
  return (await Promise.all(answers)).flat();
}
