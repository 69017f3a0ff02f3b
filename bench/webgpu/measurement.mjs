// One shape on WebGPU: all contenders, checked against a reference, then timed by turns. No Node in here: the page measures.
import { maximumMagnitude, worstDifference } from '../../support/differences.mjs';

/** A round lasts so long, or one call where that takes longer. */
const roundSeconds = 0.2;
/** A result whose largest error is more than this part of the largest output is another result. */
export const mostRelativeError = 1e-3;

/**
 * @typedef {object} Runner a contender that was started
 * @property {string} name as in contenders.mjs
 * @property {(shape: object) => Promise<object>} prepare
 * @property {() => Promise} synchronize
 *
 * @typedef {{ upload: number, compute: number, read: number }} Times milliseconds of the parts of a call
 */

/** A call in its parts, each until the device is done with it. */
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

/** Means over the calls of one round. */
async function round(runner, layer) {
  const sum = { upload: 0, compute: 0, read: 0 };
  const end = performance.now() + roundSeconds * 1000;
  let count = 0;
  do {
    const { times } = await call(runner, layer);
    for (const part of Object.keys(sum)) sum[part] += times[part];
    ++count;
  } while (performance.now() < end);
  return Object.fromEntries(Object.entries(sum).map(([part, total]) => [part, total / count]));
}

const relativeError = (values, reference) =>
  worstDifference(values, reference).difference / maximumMagnitude(reference);

/** The first call compiles shaders. The one after it has the layer's other context, and finds all of them. */
async function prepare(runner, shape, reference) {
  const layer = await runner.prepare(shape);
  const { values, times } = await call(runner, layer);
  return { runner, layer, first: times, error: relativeError(values, reference), rounds: [] };
}

/**
 * @param {Runner[]} runners
 * @param {object} shape
 * @param {Float32Array} reference the output with the first context
 * @param {number} rounds
 * @param {(progress: { name: string, stage: string }) => void} onProgress
 * @returns {Promise<{ records: object[], notMeasured: { name: string, reason: string }[] }>} a record: { name, error, first,
 *   rounds }, with Times of the first call and of each round; no rounds where the result is wrong
 */
export async function measureShape(runners, shape, reference, rounds, onProgress = () => {}) {
  const notMeasured = [];
  let records = [];
  const giveUp = ({ name }, error) => {
    notMeasured.push({ name, reason: error.message });
    records = records.filter(({ runner }) => runner.name !== name);
  };
  for (const runner of runners) {
    onProgress({ name: runner.name, stage: 'first call' });
    try {
      records.push(await prepare(runner, shape, reference));
    } catch (error) {
      giveUp(runner, error);
    }
  }
  const prepared = records;
  for (let index = 0; index < rounds; ++index) {
    for (const record of records.filter(({ error }) => error <= mostRelativeError)) {
      onProgress({ name: record.runner.name, stage: `round ${index + 1} of ${rounds}` });
      try {
        record.rounds.push(await round(record.runner, record.layer));
      } catch (error) {
        giveUp(record.runner, error);
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
