// Measures one shape on WebGPU: checks all contenders against a reference, then times them in turns. Uses no
// Node API: the page measures.
import { maximumMagnitude, worstDifference } from '../../support/differences.mjs';

/** Duration of a round. A longer call is a round by itself. */
const roundSeconds = 0.2;
/** A result is wrong if its largest error exceeds this share of the largest output. */
export const maxRelativeError = 1e-3;

/**
 * @typedef {object} Runner a started contender
 * @property {string} name key in contenders.mjs
 * @property {(shape: object) => Promise<object>} prepare
 * @property {() => Promise} synchronize
 *
 * @typedef {{ upload: number, compute: number, read: number }} Times milliseconds of the phases of a call
 */

/** Makes a call and times its phases. Each phase ends when the device has finished it. */
async function call({ synchronize }, layer) {
  const start = performance.now();
  const image = await layer.upload();
  await synchronize();
  const uploaded = performance.now();
  const output = await layer.compute(image);
  await synchronize();
  const computed = performance.now();
  const values = await layer.read(output);
  const end = performance.now();
  await layer.release(output);
  await layer.release(image);
  return { values, times: { upload: uploaded - start, compute: computed - uploaded, read: end - computed } };
}

/** Returns means over the calls of one round. */
async function round(runner, layer) {
  const sum = { upload: 0, compute: 0, read: 0 };
  const end = performance.now() + roundSeconds * 1000;
  let count = 0;
  do {
    const { times } = await call(runner, layer);
    for (const phase of Object.keys(sum)) sum[phase] += times[phase];
    ++count;
  } while (performance.now() < end);
  return Object.fromEntries(Object.entries(sum).map(([phase, total]) => [phase, total / count]));
}

const relativeError = (values, reference) =>
  worstDifference(values, reference).difference / maximumMagnitude(reference);

/**
 * Makes the first call, which compiles the shaders. The second call uses the other context and needs no
 * compilation.
 */
async function prepare(runner, shape, reference) {
  const layer = await runner.prepare(shape);
  const { values, times } = await call(runner, layer);
  return { runner, layer, first: times, error: relativeError(values, reference), rounds: [] };
}

/**
 * Measures all runners with one shape. A record of the result is { name, error, first, rounds }, with the
 * Times of the first call and of each round. A wrong result has no rounds.
 *
 * @param {Runner[]} runners
 * @param {object} shape
 * @param {Float32Array} reference the output with the first context
 * @param {number} rounds
 * @param {(progress: { name: string, stage: string }) => void} onProgress
 * @returns {Promise<{ records: object[], notMeasured: { name: string, reason: string }[] }>}
 */
export async function measureShape(runners, shape, reference, rounds, onProgress = () => {}) {
  const notMeasured = [];
  let records = [];
  const exclude = ({ name }, error) => {
    notMeasured.push({ name, reason: error.message });
    records = records.filter(({ runner }) => runner.name !== name);
  };
  for (const runner of runners) {
    onProgress({ name: runner.name, stage: 'first call' });
    try {
      records.push(await prepare(runner, shape, reference));
    } catch (error) {
      exclude(runner, error);
    }
  }
  const prepared = records;
  for (let index = 0; index < rounds; ++index) {
    for (const record of records.filter(({ error }) => error <= maxRelativeError)) {
      onProgress({ name: record.runner.name, stage: `round ${index + 1} of ${rounds}` });
      try {
        record.rounds.push(await round(record.runner, record.layer));
      } catch (error) {
        exclude(record.runner, error);
      }
    }
  }
  await Promise.allSettled(prepared.map(async ({ layer }) => layer.dispose()));
  return {
    records: records.map(({ runner, error, first, rounds: times }) => ({
      name: runner.name,
      error,
      first,
      rounds: times,
    })),
    notMeasured,
  };
}
