// npm run bench -- [options]: our layer and its peers on this machine, beside what the microkernel reaches by itself.
//   --shapes sd15-64,tiny        some of shapes.mjs; default: all
//   --what forward,training      some of forward, forward-cached, training; default: all
//   --dtype float32,float64      default: float32
//   --simd relaxed,baseline      our SIMD variants; default: both
//   --threads 1,2                default: 1 and, where there are more cores, 2
//   --peers onnxruntime_node     files of contenders/; default: all; '' for none
//   --seconds 1.5                time for each contender in each measurement
//   --json FILE                  all figures, every round among them
//   --check                      ends with exit code 1 where a target is missed, or none was measured
import { writeFileSync } from 'node:fs';
import os from 'node:os';
import { parseArgs } from 'node:util';
import { ContenderProcess } from './contender_process.mjs';
import { measureAll } from './measurement.mjs';
import { machine, meanCores, measurementTable, memoryTable, targetLines, toJson } from './report.mjs';
import { isMeaningful, shapes, tasks } from './shapes.mjs';

const allPeers = { onnxruntime_node: 'onnxruntime-node' };

const { values: given } = parseArgs({
  options: {
    shapes: { type: 'string', default: shapes.map(({ name }) => name).join() },
    what: { type: 'string', default: Object.keys(tasks).join() },
    dtype: { type: 'string', default: 'float32' },
    simd: { type: 'string', default: 'relaxed,baseline' },
    threads: { type: 'string', default: os.availableParallelism() > 1 ? '1,2' : '1' },
    peers: { type: 'string', default: Object.keys(allPeers).join() },
    seconds: { type: 'string', default: '1.5' },
    json: { type: 'string' },
    check: { type: 'boolean', default: false },
  },
});

/** The parts of an option, each of which `allowed` must know. */
function listOf(option, allowed) {
  const parts = given[option].split(',').filter((part) => part !== '');
  const unknown = parts.find((part) => !allowed.includes(part));
  if (unknown !== undefined)
    throw new Error(`--${option} ${unknown}: it takes some of ${allowed.join(', ')}`);
  return parts;
}

function positiveNumbers(option, isAllowed) {
  return given[option].split(',').map((part) => {
    const value = Number(part);
    if (!(value > 0 && isAllowed(value))) throw new Error(`--${option} ${part}: it takes a positive number`);
    return value;
  });
}

const [seconds] = positiveNumbers('seconds', Number.isFinite);
const threadCounts = positiveNumbers('threads', Number.isInteger);
const simds = listOf('simd', ['relaxed', 'baseline']);
const peers = listOf('peers', Object.keys(allPeers));
const dtypes = listOf('dtype', ['float32', 'float64']);
const chosenTasks = listOf('what', Object.keys(tasks));
const chosenShapes = listOf(
  'shapes',
  shapes.map(({ name }) => name),
).map((name) => shapes.find((shape) => shape.name === name));

const processes = [];

async function startProcess(name, options) {
  const started = await ContenderProcess.start(name, options);
  processes.push(started);
  return started;
}

const threadsTitle = (threads) => (threads === 1 ? '1 thread' : `${threads} threads`);

/** Ours first: the others' results are compared with them. */
async function startEntries() {
  const entries = [];
  for (const simd of simds) {
    const ceilings = [];
    for (const threads of threadCounts) {
      while (ceilings.length < threads) ceilings.push(await startProcess('ceiling', { simd }));
      entries.push({
        label: simd,
        title: `${simd}, ${threadsTitle(threads)}`,
        name: 'cross_attention',
        options: { simd, threads },
        process: await startProcess('cross_attention', { simd, threads }),
        ceiling: ceilings.slice(0, threads),
      });
    }
  }
  for (const name of peers) {
    for (const threads of threadCounts) {
      entries.push({
        label: allPeers[name],
        title: `${allPeers[name]}, ${threadsTitle(threads)}`,
        name,
        options: { threads },
        process: await startProcess(name, { threads }),
        ceiling: [],
      });
    }
  }
  return entries;
}

/** On a terminal one line that is written again and again. */
function showProgress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

const elapsedSince = (start) => `${((performance.now() - start) / 1000).toFixed(0)} s`;

async function measureEverything(entries) {
  const plan = dtypes.flatMap((dtype) =>
    chosenTasks.flatMap((task) =>
      chosenShapes.filter((shape) => isMeaningful(shape, task)).map((shape) => ({ dtype, task, shape })),
    ),
  );
  const start = performance.now();
  const measurements = [];
  let heading = '';
  for (const [index, what] of plan.entries()) {
    const title = `${what.dtype}, ${tasks[what.task].title}`;
    showProgress(`${index + 1} of ${plan.length}: ${what.shape.name}, ${title} (${elapsedSince(start)})`);
    const records = await measureAll(what, entries, seconds);
    showProgress('');
    if (records === null) continue;
    if (title !== heading) console.log(`\n${title}\nGFLOP: ${tasks[what.task].flops}`);
    heading = title;
    const measurement = { ...what, records };
    measurements.push(measurement);
    console.log(`\n${measurementTable(measurement)}`);
  }
  return measurements;
}

function printIntroduction() {
  const { processor, cores, memoryGigabytes, system, node, v8 } = machine();
  console.log(`${processor}, ${cores} cores, ${memoryGigabytes} GB; ${system}; Node ${node}, V8 ${v8}`);
  console.log(
    'Contenders take turns; times are medians over the rounds, ratios are taken within each round.\n' +
      '“A call” and all that follows from it: of one thread processor time, so that a busy machine distorts it less; of ' +
      'more threads the clock.\n' +
      'Ceiling: the microkernel by itself, in a process for each thread, right before the contender.',
  );
}

function printConclusion(measurements) {
  const memory = memoryTable(measurements);
  if (memory !== null) {
    console.log(`\nMemory: the most that a first forward takes beyond input, output and weights\n${memory}`);
  }
  const targets = targetLines(measurements);
  if (targets.length > 0) console.log(`\n${targets.map(({ text }) => text).join('\n')}`);
  const cores = meanCores(measurements);
  if (cores < 0.97) {
    console.log(
      `The machine was busy: one thread had ${(100 * cores).toFixed(0)} % of a core. The clock’s times are too long.`,
    );
  }
  if (given.check && !(targets.length > 0 && targets.every(({ met }) => met))) process.exitCode = 1;
}

printIntroduction();
try {
  const measurements = await measureEverything(await startEntries());
  printConclusion(measurements);
  if (given.json) writeFileSync(given.json, `${JSON.stringify(toJson(measurements), null, 2)}\n`);
} finally {
  for (const one of processes) one.stop();
}
