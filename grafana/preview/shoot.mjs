// Takes a picture of each dashboard: node shoot.mjs JOBS.json
// JOBS.json: [{ "picture": FILE, "dashboard": {...}, "prometheus": URL, "from": s, "to": s, "values": {...}, "labels": {...} }]
// Ends with 1 when a panel failed, and prints a JSON report per dashboard.
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname, join, normalize } from 'node:path';
import { chromium } from 'playwright-core';

const WIDTH = 1600;
const SETTLED_AFTER_MS = 1500;
const DRAWN_WITHIN_MS = 15000;
const HERE = import.meta.dirname;
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

function fileOf(path) {
  if (path.startsWith('/public/build/img/')) {
    return join(HERE, 'node_modules/@grafana/ui/dist/public/img', path.slice('/public/build/img/'.length));
  }
  return join(HERE, 'dist', path === '/' ? 'index.html' : path);
}

async function serve() {
  const server = createServer(async (request, response) => {
    try {
      const file = normalize(fileOf(new URL(request.url, 'http://localhost').pathname));
      const body = await readFile(file);
      response.writeHead(200, { 'Content-Type': TYPES[extname(file)] ?? 'application/octet-stream' }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

async function shoot(browser, origin, { picture, ...job }) {
  const page = await browser.newPage({ viewport: { width: WIDTH, height: 1200 } });
  const errors = [];
  page.on('pageerror', (error) => errors.push(String(error.stack ?? error)));
  await page.addInitScript((preview) => Object.assign(window, { preview }), { ...job, width: WIDTH });
  await page.goto(origin);
  const isDrawn = () => new Set(window.report?.panels.map((panel) => panel.id)).size === window.report?.expected;
  await page.waitForFunction(isDrawn, undefined, { timeout: DRAWN_WITHIN_MS }).catch((error) => errors.push(String(error)));
  const height = await page.evaluate(() => Math.ceil(document.getElementById('dashboard').getBoundingClientRect().height));
  await page.setViewportSize({ width: WIDTH, height });
  await page.waitForLoadState('networkidle');
  await page.waitForTimeout(SETTLED_AFTER_MS); // charts measure their legends first, then draw
  await page.screenshot({ path: picture });
  const report = await page.evaluate(() => window.report.panels);
  await page.close();
  errors.push(...report.filter((panel) => panel.error).map((panel) => `${panel.title}: ${panel.error}`));
  return { picture, errors, empty: report.filter((panel) => !panel.rows?.some(Boolean)).map((panel) => panel.title) };
}

const jobs = JSON.parse(await readFile(process.argv[2], 'utf-8'));
const server = await serve();
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: FLAGS });
try {
  for (const job of jobs) {
    const report = await shoot(browser, `http://127.0.0.1:${server.address().port}`, job);
    console.log(JSON.stringify(report));
    if (report.errors.length) process.exitCode = 1;
  }
} finally {
  await browser.close();
  server.close();
}
