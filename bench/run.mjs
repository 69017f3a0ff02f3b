// npm run bench: measures the layer and other libraries on this machine. `npm run bench -- --help` lists the
// options.
import { readFileSync, writeFileSync } from 'node:fs';
import { ceilingFile } from '../tools/lib/wasm.mjs';
import { readCommandLine } from '../tools/lib/command_line.mjs';
import { ContenderProcess } from './contender_process.mjs';
import { chartFile, scalingChartFile } from './chart_file.mjs';
import { entryOf } from './contenders.mjs';
import { machine } from '../support/machine.mjs';
import { measureAll } from './measurement.mjs';
import { allPeers, command } from './options.mjs';
import { ceilingText, meanCores, measurementTable, memoryTable, notMeasuredText } from './report.mjs';
import { measureCurves } from './scaling.mjs';
import { curveText, scalingLines } from './scaling_report.mjs';
import { isMeaningful, shapes, tasks } from './shapes.mjs';
import { toJson } from './summary.mjs';
import { targetLines } from './targets.mjs';

const options = readCommandLine(command);

/** Starts all entries, this package first: the other results are compared with its result. */
async function startEntries() {
  const entries = [];
  const add = async (label, name, settings, ceiling = []) => {
    const entry = entryOf(label, name, settings);
    entries.push({ ...entry, process: await ContenderProcess.start(name, settings), ceiling });
  };
  const addPeer = (label, name, settings) =>
    add(label, name, settings).catch((error) =>
      console.log(`Not measured: ${entryOf(label, name, settings).title}: ${error.message}`),
    );
  for (const simd of options.simd) {
    const bytes = readFileSync(ceilingFile(simd));
    const ceilings = [];
    for (const threads of options.threads) {
      while (ceilings.length < threads) ceilings.push(await ContenderProcess.start('ceiling', { bytes }));
      await add(simd, 'cross_attention', { simd, threads }, ceilings.slice(0, threads));
    }
  }
  for (const { label, name, options: settings } of options.peers.map((peer) => allPeers[peer])) {
    for (const threads of options.threads) await addPeer(label, name, { ...settings, threads });
  }
  return entries;
}

/** Shows a line of progress on a terminal; the next one replaces it. */
function showProgress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

const elapsedSince = (start) => `${((performance.now() - start) / 1000).toFixed(0)} s`;

async function measureEverything(entries) {
  const chosenShapes = options.shapes.map((name) => shapes.find((shape) => shape.name === name));
  const plan = options.dtype.flatMap((dtype) =>
    options.what.flatMap((task) =>
      chosenShapes.filter((shape) => isMeaningful(shape, task)).map((shape) => ({ dtype, task, shape })),
    ),
  );
  const start = performance.now();
  const measurements = [];
  let heading = '';
  for (const [index, workload] of plan.entries()) {
    const { shape, dtype, task } = workload;
    const title = `${dtype}, ${tasks[task].title}`;
    showProgress(`${index + 1} of ${plan.length}: ${shape.name}, ${title} (${elapsedSince(start)})`);
    const { records, notMeasured } = await measureAll(workload, entries, options.seconds);
    showProgress('');
    if (title !== heading) console.log(`\n${title}\nGFLOP: ${tasks[task].flops}`);
    heading = title;
    const measurement = { ...workload, records, notMeasured };
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
    'Contenders are measured in turns. Times are medians over the rounds; ratios are computed within each ' +
      'round.\n' +
      'Time per call, and all columns after it: processor time with one thread, because a busy machine ' +
      'distorts it less; wall time with more threads.\n' +
      'Ceiling: the microkernel alone, one process per thread, measured right before the contender.',
  );
}

function printConclusion(measurements) {
  const memory = memoryTable(measurements);
  if (memory !== null) {
    console.log(`\nPeak memory of a first forward pass, without input, output and weights\n${memory}`);
  }
  const targets = targetLines(measurements);
  printTargets(targets);
  const ceiling = ceilingText(measurements);
  if (ceiling !== null) console.log(ceiling);
  const cores = meanCores(measurements);
  if (cores < 0.97) {
    const percent = (100 * cores).toFixed(0);
    console.log(`The machine was busy: one thread had ${percent} % of a core. Wall times are too long.`);
  }
}

function printTargets(targets) {
  if (targets.length > 0) console.log(`\n${targets.map(({ text }) => text).join('\n')}`);
  if (options.check && !(targets.length > 0 && targets.every(({ met }) => met))) process.exitCode = 1;
}

function write(json, drawChart) {
  if (options.json) writeFileSync(options.json, `${JSON.stringify(json, null, 2)}\n`);
  if (options.svg) writeFileSync(options.svg, drawChart(json));
}

async function compare() {
  printIntroduction();
  const measurements = await measureEverything(await startEntries());
  printConclusion(measurements);
  write(toJson(measurements, machine()), chartFile);
}

async function scale() {
  printMachine();
  const [simd] = options.simd;
  const curves = await measureCurves(simd, options.seconds, (title) => showProgress(title));
  showProgress('');
  for (const curve of curves) console.log(`\n${curveText(curve)}`);
  printTargets(scalingLines(curves));
  write({ date: new Date().toISOString(), machine: machine(), simd, curves }, scalingChartFile);
}

try {
  await (options.scaling ? scale() : compare());
} finally {
  ContenderProcess.stopAll();
}
