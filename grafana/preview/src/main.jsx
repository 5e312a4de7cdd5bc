// Draws the dashboard in `window.preview` and leaves a report of what each panel shows in `window.report`.
import 'uplot/dist/uPlot.min.css';
import { createRoot } from 'react-dom/client';
import { createTheme, ThemeContext } from '@grafana/data';
import { GlobalStyles } from '@grafana/ui';
import { registerWithGrafana } from './fields.js';
import { Panel } from './panels.jsx';

const COLUMNS = 24;
const LINE_HEIGHT = 30;
const GAP = 8;
const PADDING = 16;

window.__grafana_public_path__ = '/public/';
registerWithGrafana();

const { dashboard, width, ...context } = window.preview;
const theme = createTheme({ colors: { mode: 'dark' } });
const column = (width - 2 * PADDING + GAP) / COLUMNS;
const panels = dashboard.panels.flatMap((panel) => [panel, ...(panel.panels ?? [])]);
const drawn = panels.filter((panel) => panel.type !== 'row');
const bottom = Math.max(...panels.map(({ gridPos }) => gridPos.y + gridPos.h));

window.report = { panels: [], expected: drawn.length };

function report(panel, { frames, error }) {
  window.report.panels.push({ id: panel.id, title: panel.title, error, rows: frames?.map((frame) => frame.length) });
}

function place({ x, y, w, h }) {
  return {
    position: 'absolute',
    left: x * column,
    top: y * (LINE_HEIGHT + GAP),
    width: w * column - GAP,
    height: h * (LINE_HEIGHT + GAP) - GAP,
  };
}

function Header() {
  const values = Object.entries(context.values).map(([name, value]) => (
    <span key={name} style={{ border: `1px solid ${theme.colors.border.medium}`, borderRadius: 2, marginRight: 8 }}>
      <span style={{ background: theme.colors.background.secondary, padding: '4px 8px' }}>{context.labels[name]}</span>
      <span style={{ padding: '4px 8px', color: theme.colors.text.link }}>
        {value[0] === '.+' ? 'All' : value.join(' + ')}
      </span>
    </span>
  ));
  const day = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 16).replace('T', ' ');
  return (
    <header style={{ marginBottom: 12 }}>
      <h3 style={{ marginBottom: 8 }}>{dashboard.title}</h3>
      {values}
      <span style={{ float: 'right', color: theme.colors.text.secondary }}>
        {day(context.from)} to {day(context.to)} UTC &nbsp;·&nbsp; drawn with Grafana's libraries, not in Grafana
      </span>
    </header>
  );
}

function Dashboard() {
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <main id="dashboard" style={{ width, padding: PADDING, background: theme.colors.background.canvas }}>
        <Header />
        <div style={{ position: 'relative', height: bottom * (LINE_HEIGHT + GAP) }}>
          {panels.map((panel) => {
            const box = place(panel.gridPos);
            return (
              <section key={panel.id} style={box}>
                {panel.type === 'row' ? (
                  <h5 style={{ paddingTop: 6 }}>{panel.title}</h5>
                ) : (
                  <Panel panel={panel} context={context} width={box.width} height={box.height} report={report} />
                )}
              </section>
            );
          })}
        </div>
      </main>
    </ThemeContext.Provider>
  );
}

createRoot(document.getElementById('root')).render(<Dashboard />);
