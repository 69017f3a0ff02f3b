// The soak test in Chromium: node bench/soak/chromium.mjs MINUTES. Pages compute in WebAssembly and by WebGPU
// on a software adapter; they are reloaded and left in mid-call, and lose their devices.
import { readdirSync, readFileSync } from 'node:fs';
import { launchChromium, newWatchedPage, webGpuSwitches } from '../../support/browser/chromium.mjs';
import { isolationHeaders, serve } from '../../support/browser/server.mjs';
import { project } from '../../tools/lib/paths.mjs';
import { Samples } from './samples.mjs';

const minutes = Number(process.argv[2]);
const end = performance.now() + 60_000 * minutes;
const sampleMilliseconds = Math.min(20_000, (60_000 * minutes) / 20);

const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Resident memory in MB, threads, and number of all processes below this one, on Linux. */
function ofChildren() {
  const parents = new Map();
  const statuses = new Map();
  for (const id of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const status = readFileSync(`/proc/${id}/status`, 'utf8');
      const number = (name) => Number(status.match(new RegExp(`^${name}:\\s+(\\d+)`, 'm'))?.[1] ?? 0);
      parents.set(Number(id), number('PPid'));
      statuses.set(Number(id), { rss: number('VmRSS') / 1000, threads: number('Threads') });
    } catch {
      // The process has ended.
    }
  }
  const isBelow = (id) => id === process.pid || (parents.has(id) && isBelow(parents.get(id)));
  const below = [...statuses].filter(([id]) => id !== process.pid && isBelow(id));
  const total = (name) => below.reduce((sum, [, status]) => sum + status[name], 0);
  return { 'RSS, MB': total('rss'), threads: total('threads'), processes: below.length };
}

const browser = await launchChromium({ switches: webGpuSwitches.swiftshader });
const server = await serve(project, isolationHeaders);
const address = `${server.origin}/bench/soak/page.html`;
const { page, close } = await newWatchedPage(browser, server.origin);
const session = await page.context().newCDPSession(page);
await session.send('Performance.enable');
const samples = new Samples();
let [visits, lost, rounds, next] = [0, 0, 0, 0];
const errors = [];

async function sample() {
  await session.send('HeapProfiler.collectGarbage');
  const { metrics } = await session.send('Performance.getMetrics');
  const metric = (name) => metrics.find((each) => each.name === name)?.value ?? 0;
  const { inUse } = await page.evaluate(() => globalThis.soak.state());
  samples.add({
    ...ofChildren(),
    'JS heap, MB': metric('JSHeapUsedSize') / 1e6,
    'WASM in use, MB': inUse / 1e6,
    documents: metric('Documents'),
    workers: page.workers().length,
  });
}

while (performance.now() < end) {
  const device = visits % 3 === 0 ? 'webgpu' : 'wasm';
  if (visits % 2 === 0) await page.goto(`${address}?device=${device}`);
  else await page.reload();
  await page.waitForFunction(() => globalThis.soak !== undefined, null, { timeout: 60_000 });
  visits++;
  for (const stop = performance.now() + 2000 + Math.random() * 4000; performance.now() < stop;) {
    await wait(Math.random() * 1000);
    if (Math.random() < 0.3) {
      await page.evaluate(() => globalThis.soak.loseDevice());
      lost++;
    }
  }
  const state = await page.evaluate(() => ({ rounds: globalThis.soak.rounds, error: globalThis.soak.error }));
  rounds += state.rounds;
  if (state.error !== null) errors.push(state.error);
  if (performance.now() < next) continue;
  next = performance.now() + sampleMilliseconds;
  await sample();
}
samples.print(`Chromium ${browser.version()}, ${visits} visits, ${rounds} rounds, ${lost} lost devices`);
console.log(`  errors: ${errors.length}`);
for (const error of new Set(errors)) console.log(error);
await close();
await browser.close();
await server.close();
if (errors.length > 0) process.exitCode = 1;
