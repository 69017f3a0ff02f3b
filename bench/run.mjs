// npm run bench -- [options]: our layer and its peers on this machine, beside what the microkernel reaches by itself.
//   --shapes sd15-64,tiny        some of shapes.mjs; default: all
//   --what forward,training      some of forward, forward-cached, forward-compiled, training; default: all
//   --dtype float32,float64      default: float32
//   --simd relaxed,baseline      our SIMD variants; default: both
//   --threads 1,2                default: 1 and, where there are more cores, 2
//   --peers jax,tensorflow       names of peers in contenders.mjs and onnxruntime-node; default: all; '' for none
//   --seconds 1.5                time for each contender in each measurement
//   --json FILE                  all figures, every round among them
//   --svg FILE                   the figures as a chart
//   --scaling                    instead of all that: time and memory against N, L, C and threads
//   --check                      ends with exit code 1 where a target is missed, or none was measured
import { readFileSync, writeFileSync } from 'node:fs';
import { ceilingFile } from '../tools/lib/build.mjs';
import { ContenderProcess } from './contender_process.mjs';
import { chartFile, scalingChartFile } from './chart_file.mjs';
import { entryOf } from './contenders.mjs';
import { machine } from './machine.mjs';
import { measureAll } from './measurement.mjs';
import {
  allPeers,
  chosenShapes,
  chosenTasks,
  dtypes,
  given,
  peers,
  seconds,
  simds,
  threadCounts,
} from './options.mjs';
import { ceilingText, meanCores, measurementTable, memoryTable, notMeasuredText } from './report.mjs';
import { measureCurves } from './scaling.mjs';
import { curveText, scalingLines } from './scaling_report.mjs';
import { isMeaningful, tasks } from './shapes.mjs';
import { toJson } from './summary.mjs';
import { targetLines } from './targets.mjs';

/** Ours first: the others' results are compared with them. */
async function startEntries() {
  const entries = [];
  const add = async (label, name, options, ceiling = []) => {
    const entry = entryOf(label, name, options);
    entries.push({ ...entry, process: await ContenderProcess.start(name, options), ceiling });
  };
  const addPeer = (label, name, options) =>
    add(label, name, options).catch((error) =>
      console.log(`Not measured: ${entryOf(label, name, options).title}: ${error.message}`),
    );
  for (const simd of simds) {
    const bytes = readFileSync(ceilingFile(simd));
    const ceilings = [];
    for (const threads of threadCounts) {
      while (ceilings.length < threads) ceilings.push(await ContenderProcess.start('ceiling', { bytes }));
      await add(simd, 'cross_attention', { simd, threads }, ceilings.slice(0, threads));
    }
  }
  for (const { label, name, options } of peers.map((peer) => allPeers[peer])) {
    for (const threads of threadCounts) await addPeer(label, name, { ...options, threads });
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
    const { records, notMeasured } = await measureAll(what, entries, seconds);
    showProgress('');
    if (title !== heading) console.log(`\n${title}\nGFLOP: ${tasks[what.task].flops}`);
    heading = title;
    const measurement = { ...what, records, notMeasured };
    measurements.push(measurement);
    console.log(`\n${measurementTable(measurement)}`);
    if (notMeasured.length > 0) console.log(notMeasuredText(measurement));
  }
  return measurements;
}

function printMachine() {
  const { processor, cores, memoryGigabytes, system, node, v8 } = machine();
  console.log(`${processor}, ${cores} cores, ${memoryGigabytes} GB; ${system}; Node ${node}, V8 ${v8}`);
}

function printIntroduction() {
  printMachine();
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
  printTargets(targets);
  const ceiling = ceilingText(measurements);
  if (ceiling !== null) console.log(ceiling);
  const cores = meanCores(measurements);
  if (cores < 0.97) {
    console.log(
      `The machine was busy: one thread had ${(100 * cores).toFixed(0)} % of a core. The clock’s times are too long.`,
    );
  }
}

function printTargets(targets) {
  if (targets.length > 0) console.log(`\n${targets.map(({ text }) => text).join('\n')}`);
  if (given.check && !(targets.length > 0 && targets.every(({ met }) => met))) process.exitCode = 1;
}

function write(json, drawChart) {
  if (given.json) writeFileSync(given.json, `${JSON.stringify(json, null, 2)}\n`);
  if (given.svg) writeFileSync(given.svg, drawChart(json));
}

async function compare() {
  printIntroduction();
  const measurements = await measureEverything(await startEntries());
  printConclusion(measurements);
  write(toJson(measurements, machine()), chartFile);
}

async function scale() {
  printMachine();
  const curves = await measureCurves(simds[0], seconds, (title) => showProgress(title));
  showProgress('');
  for (const curve of curves) console.log(`\n${curveText(curve)}`);
  printTargets(scalingLines(curves));
  write({ date: new Date().toISOString(), machine: machine(), simd: simds[0], curves }, scalingChartFile);
}

try {
  await (given.scaling ? scale() : compare());
} finally {
  ContenderProcess.stopAll();
}
