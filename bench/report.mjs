// What was measured, for people and for programs.
import os from 'node:os';
import { median, quantile } from './measure.mjs';
import { countedMilliseconds } from './measurement.mjs';
import { contextLengthOf, flopsOf, isOverhead, tasks, tokensOf } from './shapes.mjs';

/** Medians over the rounds; ratios are taken within each round first. */
export function summarize({ shape, task, records }) {
  const flops = flopsOf(shape, task);
  return records.map((record) => {
    const { entry, rounds, memory, flopsDone, difference } = record;
    const counted = rounds.map((one) => countedMilliseconds(entry.options.threads, one));
    const shares = rounds
      .map(({ ceiling }, index) => ceiling && flops / counted[index] / 1e6 / ceiling)
      .filter((share) => share !== null);
    const hasCeiling = shares.length > 0;
    return {
      title: entry.title,
      name: entry.name,
      ...entry.options,
      clockMilliseconds: median(rounds.map(({ milliseconds }) => milliseconds)),
      milliseconds: median(counted),
      gflopsPerSecond: flops / median(counted) / 1e6,
      ceilingGflopsPerSecond: hasCeiling ? median(rounds.map(({ ceiling }) => ceiling)) : null,
      shareOfCeiling: hasCeiling ? median(shares) : null,
      shareQuartiles: hasCeiling ? [quantile(shares, 0.25), quantile(shares, 0.75)] : null,
      /** With all that the contender does, by its own count: what it computes a second time. */
      doneOverFlops: flopsDone === null ? null : flopsDone / flops,
      cores: median(rounds.map(({ cores }) => cores)),
      timesAsFastAs: timesAsFast(record, records),
      differenceFromFirst: difference,
      memory,
      rounds,
    };
  });
}

/** Our speed over each peer's with as many threads, by the peers' labels: ratios within each round. */
function timesAsFast({ entry, rounds }, records) {
  const { simd, threads } = entry.options;
  if (!simd) return null;
  const peers = records.filter(({ entry: { options } }) => !options.simd && options.threads === threads);
  const ratioTo = (peer) =>
    median(
      rounds.map(
        (one, index) => countedMilliseconds(threads, peer.rounds[index]) / countedMilliseconds(threads, one),
      ),
    );
  return Object.fromEntries(peers.map((peer) => [peer.entry.label, ratioTo(peer)]));
}

/** Columns as wide as they need; all but the first one to the right. */
export function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const pad = (cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]));
  return rows.map((row) => `  ${row.map(pad).join('   ')}`.trimEnd()).join('\n');
}

const percent = (share) => `${(100 * share).toFixed(0)} %`;
const time = (milliseconds) =>
  milliseconds < 0.1 ? `${(1000 * milliseconds).toFixed(2)} µs` : `${milliseconds.toFixed(2)} ms`;

function describeShape(shape) {
  const { name, batch, queryDim, length, contextDim, numHeads } = shape;
  const context = length === null ? 'self-attention' : `${length} keys of ${contextDim}`;
  return `${name}: ${batch} × ${queryDim} × ${shape.height}², ${context}, ${numHeads} heads`;
}

/** The table of one measurement. */
export function measurementTable({ shape, task, records }) {
  const rows = summarize({ shape, task, records });
  const peers = Object.keys(Object.assign({}, ...rows.map(({ timesAsFastAs }) => timesAsFastAs ?? {})));
  const counts = !isOverhead(shape);
  const training = task === 'training';
  const head = ['', 'by the clock', 'a call'];
  if (counts) head.push('GFLOP/s', 'ceiling', 'of the ceiling', '(quartiles)');
  if (counts && training) head.push('done', 'of the ceiling');
  head.push(...peers.map((label) => `times ${label}`));
  const cells = rows.map((row) => {
    const line = [row.title, time(row.clockMilliseconds), time(row.milliseconds)];
    const hasCeiling = row.shareOfCeiling !== null;
    if (counts) {
      line.push(row.gflopsPerSecond.toFixed(1));
      if (hasCeiling) {
        line.push(row.ceilingGflopsPerSecond.toFixed(1), percent(row.shareOfCeiling));
        line.push(row.shareQuartiles.map(percent).join(' – '));
      } else line.push('', '', '');
      if (training) {
        line.push((row.gflopsPerSecond * row.doneOverFlops).toFixed(1));
        line.push(percent(row.shareOfCeiling * row.doneOverFlops));
      }
    }
    line.push(...peers.map((label) => row.timesAsFastAs?.[label]?.toFixed(2) ?? ''));
    return line;
  });
  const work = counts ? `, ${(flopsOf(shape, task) / 1e9).toFixed(3)} GFLOP` : '';
  return `${describeShape(shape)}${work}\n${table([head, ...cells])}`;
}

const megabytes = (bytes) => (bytes / 1e6).toFixed(2);

/** The bound on a forward's memory where the project sets itself one, in bytes beyond input, output and weights. */
function memoryBound(shape, threads) {
  if (shape.name === 'sd15-64') return 4e6 * threads;
  // 8 MB and the keys and values.
  if (shape.name === 'self-64') {
    return 8e6 + 2 * 4 * shape.batch * contextLengthOf(shape) * shape.queryDim;
  }
  return null;
}

/** What a first forward takes beyond input, output and weights. */
export function memoryTable(measurements) {
  const rows = measurements
    .filter(({ dtype, task, shape }) => dtype === 'float32' && task === 'forward' && !isOverhead(shape))
    .flatMap(({ shape, records }) =>
      records
        .filter(({ memory }) => memory !== null)
        .map(({ entry, memory }) => {
          const { forwardPeakBytes, outputBytes, packedWeightBytes } = memory;
          const beyond = forwardPeakBytes - outputBytes;
          const bound = memoryBound(shape, entry.options.threads);
          const scores = 4 * shape.batch * shape.numHeads * tokensOf(shape) * contextLengthOf(shape);
          return [
            `${shape.name}, ${entry.title}`,
            megabytes(beyond),
            bound === null ? '' : `${beyond <= bound ? '✓' : '✗'} at most ${megabytes(bound)}`,
            megabytes(packedWeightBytes),
            megabytes(scores),
          ];
        }),
    );
  if (rows.length === 0) return null;
  return table([['', 'MB', '', 'packed weights', 'N×L scores would take'], ...rows]);
}

const targetGflopsPerSecond = 35;
const targetShapes = ['sd15-64', 'sd15-16'];

/** The speed that the project sets itself: one line a shape. */
export function targetLines(measurements) {
  return measurements
    .filter(({ shape, dtype, task }) => {
      return targetShapes.includes(shape.name) && dtype === 'float32' && task === 'forward';
    })
    .flatMap(({ shape, task, records }) =>
      summarize({ shape, task, records })
        .filter(({ simd, threads }) => simd === 'relaxed' && threads === 1)
        .map(({ gflopsPerSecond, milliseconds, clockMilliseconds }) => {
          const met = gflopsPerSecond >= targetGflopsPerSecond;
          const mark = met ? '✓' : '✗';
          const byClock = (gflopsPerSecond * milliseconds) / clockMilliseconds;
          const text =
            `${shape.name}, relaxed SIMD, one thread: ${gflopsPerSecond.toFixed(1)} GFLOP/s of processor time ` +
            `(${byClock.toFixed(1)} by the clock)`;
          return { met, text: `${mark} ${text}, at least ${targetGflopsPerSecond} are wanted` };
        }),
    );
}

/** The part of one core that single-threaded contenders had in the mean; below 1 others were running. */
export function meanCores(measurements) {
  const cores = measurements.flatMap(({ records }) =>
    records
      .filter(({ entry }) => entry.options.threads === 1)
      .flatMap(({ rounds }) => rounds.map((round) => round.cores)),
  );
  return cores.reduce((sum, value) => sum + value, 0) / cores.length;
}

export function machine() {
  const cpus = os.cpus();
  return {
    processor: cpus[0]?.model.trim() ?? 'unknown',
    cores: cpus.length,
    memoryGigabytes: Math.round(os.totalmem() / 1e9),
    system: `${os.type()} ${os.release()}, ${os.arch()}`,
    node: process.version,
    v8: process.versions.v8,
  };
}

/** Everything, for programs. */
export function toJson(measurements) {
  return {
    date: new Date().toISOString(),
    machine: machine(),
    flopsFormulas: Object.fromEntries(Object.entries(tasks).map(([name, { flops }]) => [name, flops])),
    measurements: measurements.map(({ shape, dtype, task, records }) => ({
      shape,
      dtype,
      task,
      flops: flopsOf(shape, task),
      contenders: summarize({ shape, task, records }),
    })),
  };
}
