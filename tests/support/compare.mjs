// Comparison of arrays of numbers; a failure names the worst element.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { maximumMagnitude, worstDifference } from '../../support/differences.mjs';

export { maximumMagnitude, worstDifference };

/** No element differs by more than `tolerance`. Returns the largest difference. */
export function assertClose(actual, expected, tolerance, what) {
  const { difference, index } = worstDifference(actual, expected);
  assert.ok(
    difference <= tolerance,
    `${what}: element ${index} of ${actual.length} is ${actual[index]}, expected ${expected[index]}: ` +
      `differs by ${difference}, allowed are ${tolerance}`,
  );
  return difference;
}

/** The same with a tolerance for each element. Returns the largest part of its tolerance that an element took. */
export function assertWithin(actual, expected, tolerances, what) {
  assert.equal(actual.length, expected.length, `${what}: the number of elements`);
  let most = 0;
  for (let index = 0; index < actual.length; ++index) {
    const difference = Math.abs(actual[index] - expected[index]);
    if (!(difference <= tolerances[index])) {
      assert.fail(
        `${what}: element ${index} of ${actual.length} is ${actual[index]}, expected ${expected[index]}: ` +
          `differs by ${difference}, allowed are ${tolerances[index]}`,
      );
    }
    if (difference > 0) most = Math.max(most, difference / tolerances[index]);
  }
  return most;
}

/** The largest difference relative to the largest expected magnitude: the error of a whole gradient. */
export function relativeError(actual, expected) {
  return worstDifference(actual, expected).difference / maximumMagnitude(expected);
}

/** The very same bits: no tolerance, -0 is not 0, NaN is NaN. */
export function assertSameBits(actual, expected, what) {
  assert.equal(actual.length, expected.length, `${what}: the number of elements`);
  for (let index = 0; index < actual.length; ++index) {
    if (Object.is(actual[index], expected[index])) continue;
    assert.fail(`${what}: element ${index} is ${actual[index]}, expected the bits of ${expected[index]}`);
  }
}

export function assertFinite(values, what) {
  const index = values.findIndex((value) => !Number.isFinite(value));
  assert.ok(index < 0, `${what}: element ${index} of ${values.length} is ${values[index]}`);
}

export const hashOf = (values) =>
  createHash('sha256')
    .update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
    .digest('hex');
