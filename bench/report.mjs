// What was measured, as text.
import { contextLengthOf, flopsOf, isOverhead, tokensOf } from './shapes.mjs';
import { summarize } from './summary.mjs';

/** Columns as wide as they need; all but the first one to the right. */
export function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const pad = (cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]));
  return rows.map((row) => `  ${row.map(pad).join('   ')}`.trimEnd()).join('\n');
}

const percent = (share) => `${(100 * share).toFixed(0)} %`;
const time = (milliseconds) =>
  milliseconds < 0.1 ? `${(1000 * milliseconds).toFixed(2)} µs` : `${milliseconds.toFixed(2)} ms`;

export function describeShape(shape) {
  if (shape.layers) return `${shape.name}: ${shape.layers.length} layers one after another`;
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
      if (training && hasCeiling) {
        line.push((row.gflopsPerSecond * row.doneOverFlops).toFixed(1));
        line.push(percent(row.shareOfCeiling * row.doneOverFlops));
      } else if (training) line.push('', '');
    }
    line.push(...peers.map((label) => row.timesAsFastAs?.[label]?.toFixed(2) ?? ''));
    return line;
  });
  const work = counts ? `, ${(flopsOf(shape, task) / 1e9).toFixed(3)} GFLOP` : '';
  return `${describeShape(shape)}${work}\n${table([head, ...cells])}`;
}

/** Who is not in the table, and why: { title, reason } of each. */
export function notMeasuredLines(notMeasured) {
  const byReason = Map.groupBy(notMeasured, ({ reason }) => reason);
  const line = ([reason, those]) =>
    `  not measured: ${those.map(({ title }) => title).join('; ')}: ${reason}`;
  return [...byReason].map(line).join('\n');
}

export const notMeasuredText = ({ notMeasured }) =>
  notMeasuredLines(notMeasured.map(({ entry: { title }, reason }) => ({ title, reason })));

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

/** The part of one core that single-threaded contenders had in the mean; below 1 others were running. */
export function meanCores(measurements) {
  const cores = measurements.flatMap(({ records }) =>
    records
      .filter(({ entry }) => entry.options.threads === 1)
      .flatMap(({ rounds }) => rounds.map((round) => round.cores)),
  );
  return cores.reduce((sum, value) => sum + value, 0) / cores.length;
}

/** Where the microkernel by itself was not as fast all the time; null where it was, within a tenth. */
export function ceilingText(measurements) {
  const rates = measurements.flatMap((measurement) =>
    summarize(measurement)
      .filter(({ threads, ceilingGflopsPerSecond }) => threads === 1 && ceilingGflopsPerSecond !== null)
      .map((row) => ({ what: `${row.simd}, ${measurement.dtype}`, rate: row.ceilingGflopsPerSecond })),
  );
  const lines = [...Map.groupBy(rates, ({ what }) => what)].flatMap(([what, those]) => {
    const [least, most] = [Math.min, Math.max].map((pick) => pick(...those.map(({ rate }) => rate)));
    return most > 1.1 * least ? [`${what}: ${least.toFixed(1)} to ${most.toFixed(1)} GFLOP/s`] : [];
  });
  return lines.length > 0 ? `The ceiling changed while measuring (${lines.join('; ')}).` : null;
}
