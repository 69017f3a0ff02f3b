// Prints measurements as text.
import { contextLengthOf, flopsOf, isOverhead, tokensOf } from './shapes.mjs';
import { summarize } from './summary.mjs';

/**
 * Formats rows as a table. Columns are as wide as their longest cell; all but the first one are
 * right-aligned.
 */
export function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const pad = (cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]));
  return rows.map((row) => `  ${row.map(pad).join('   ')}`.trimEnd()).join('\n');
}

const percent = (share) => `${(100 * share).toFixed(0)} %`;
const time = (milliseconds) =>
  milliseconds < 0.1 ? `${(1000 * milliseconds).toFixed(2)} µs` : `${milliseconds.toFixed(2)} ms`;

export function describeShape(shape) {
  if (shape.layers) return `${shape.name}: ${shape.layers.length} layers in sequence`;
  const { name, batch, queryDim, length, contextDim, numHeads } = shape;
  const context = length === null ? 'self-attention' : `${length} keys of ${contextDim}`;
  return `${name}: ${batch} × ${queryDim} × ${shape.height}², ${context}, ${numHeads} heads`;
}

/** Returns the table of one measurement. */
export function measurementTable({ shape, task, records }) {
  const rows = summarize({ shape, task, records });
  const peers = Object.keys(Object.assign({}, ...rows.map(({ timesAsFastAs }) => timesAsFastAs ?? {})));
  const hasRates = !isOverhead(shape);
  const training = task === 'training';
  const head = ['', 'wall time', 'time per call'];
  if (hasRates) head.push('GFLOP/s', 'ceiling', '% of ceiling', '(quartiles)');
  if (hasRates && training) head.push('executed', '% of ceiling');
  head.push(...peers.map((label) => `× ${label}`));
  const cells = rows.map((row) => {
    const line = [row.title, time(row.clockMilliseconds), time(row.milliseconds)];
    const hasCeiling = row.shareOfCeiling !== null;
    if (hasRates) {
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
  const work = hasRates ? `, ${(flopsOf(shape, task) / 1e9).toFixed(3)} GFLOP` : '';
  return `${describeShape(shape)}${work}\n${table([head, ...cells])}`;
}

/**
 * Lists the contenders that were not measured, grouped by reason. `notMeasured`: { title, reason } of each.
 */
export function notMeasuredLines(notMeasured) {
  const byReason = Map.groupBy(notMeasured, ({ reason }) => reason);
  const line = ([reason, group]) =>
    `  not measured: ${group.map(({ title }) => title).join('; ')}: ${reason}`;
  return [...byReason].map(line).join('\n');
}

export const notMeasuredText = ({ notMeasured }) =>
  notMeasuredLines(notMeasured.map(({ entry: { title }, reason }) => ({ title, reason })));

const megabytes = (bytes) => (bytes / 1e6).toFixed(2);

/**
 * Returns the target for the memory of a forward pass in bytes, without input, output and weights; null if
 * there is none.
 */
function memoryTarget(shape, threads) {
  if (shape.name === 'sd15-64') return 4e6 * threads;
  // 8 MB plus keys and values.
  if (shape.name === 'self-64') {
    return 8e6 + 2 * 4 * shape.batch * contextLengthOf(shape) * shape.queryDim;
  }
  return null;
}

/** Returns the table of the peak memory of a first forward pass, without input, output and weights. */
export function memoryTable(measurements) {
  const rows = measurements
    .filter(({ dtype, task, shape }) => dtype === 'float32' && task === 'forward' && !isOverhead(shape))
    .flatMap(({ shape, records }) =>
      records
        .filter(({ memory }) => memory !== null)
        .map(({ entry, memory }) => {
          const { forwardPeakBytes, outputBytes, packedWeightBytes } = memory;
          const beyond = forwardPeakBytes - outputBytes;
          const target = memoryTarget(shape, entry.options.threads);
          const scores = 4 * shape.batch * shape.numHeads * tokensOf(shape) * contextLengthOf(shape);
          return [
            `${shape.name}, ${entry.title}`,
            megabytes(beyond),
            target === null ? '' : `${beyond <= target ? '✓' : '✗'} at most ${megabytes(target)}`,
            megabytes(packedWeightBytes),
            megabytes(scores),
          ];
        }),
    );
  if (rows.length === 0) return null;
  return table([['', 'MB', '', 'packed weights', 'all N×L scores'], ...rows]);
}

/**
 * Returns the mean number of cores that single-threaded contenders used. It is below 1 if other programs were
 * running.
 */
export function meanCores(measurements) {
  const cores = measurements.flatMap(({ records }) =>
    records
      .filter(({ entry }) => entry.options.threads === 1)
      .flatMap(({ rounds }) => rounds.map((round) => round.cores)),
  );
  return cores.reduce((sum, value) => sum + value, 0) / cores.length;
}

/** Returns a warning if the rate of the microkernel alone varied by more than 10 %, else null. */
export function ceilingText(measurements) {
  const rates = measurements.flatMap((measurement) =>
    summarize(measurement)
      .filter(({ threads, ceilingGflopsPerSecond }) => threads === 1 && ceilingGflopsPerSecond !== null)
      .map((row) => ({ kind: `${row.simd}, ${measurement.dtype}`, rate: row.ceilingGflopsPerSecond })),
  );
  const lines = [...Map.groupBy(rates, ({ kind }) => kind)].flatMap(([kind, group]) => {
    const [min, max] = [Math.min, Math.max].map((pick) => pick(...group.map(({ rate }) => rate)));
    return max > 1.1 * min ? [`${kind}: ${min.toFixed(1)} to ${max.toFixed(1)} GFLOP/s`] : [];
  });
  return lines.length > 0 ? `The ceiling varied during the run (${lines.join('; ')}).` : null;
}
