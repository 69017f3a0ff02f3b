// The soak test in Node: node bench/soak/node.mjs MINUTES. The package computes on this thread while workers
// start it, too, and are terminated in mid-call.
import { readdirSync, readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import * as library from 'diffusion-cross-attention';
import { runRound } from './load.mjs';
import { Samples } from './samples.mjs';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc');

const minutes = Number(process.argv[2]);
const end = performance.now() + 60_000 * minutes;
const sampleMilliseconds = Math.min(20_000, (60_000 * minutes) / 20);
const options = { device: 'wasm', threads: 4 };

const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Threads, open files and mapped memory of this process, on Linux. */
function ofProcess() {
  const status = readFileSync('/proc/self/status', 'utf8');
  const number = (name) => Number(status.match(new RegExp(`^${name}:\\s+(\\d+)`, 'm'))[1]);
  return { threads: number('Threads'), files: readdirSync('/proc/self/fd').length };
}

/** Starts a worker, lets it compute for a random time, and terminates it. */
async function useWorker() {
  const worker = new Worker(new URL('worker.mjs', import.meta.url), {
    workerData: { ...options, threads: 2 },
  });
  await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  await wait(Math.random() * 1000);
  await worker.terminate();
}

await library.init(options);
const samples = new Samples();
let [rounds, workers, next] = [0, 0, 0];
const otherThreads = (async () => {
  for (; performance.now() < end; ++workers) await useWorker();
})();
while (performance.now() < end) {
  await runRound(library, rounds++);
  if (performance.now() < next) continue;
  next = performance.now() + sampleMilliseconds;
  collectGarbage();
  await wait(50);
  const { rss, heapUsed, arrayBuffers } = process.memoryUsage();
  samples.add({
    'RSS, MB': rss / 1e6,
    'JS heap, MB': heapUsed / 1e6,
    'array buffers, MB': arrayBuffers / 1e6,
    'WASM in use, MB': library.memoryInUse() / 1e6,
    ...ofProcess(),
    handles: process.getActiveResourcesInfo().length,
  });
}
await otherThreads;
collectGarbage();
await wait(200);
samples.print(`Node ${process.version}, ${rounds} rounds, ${workers} terminated workers`);
console.log(`  at the end: ${library.memoryInUse()} bytes of WASM memory in use`);
