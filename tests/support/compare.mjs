// Assertions for arrays of numbers. Failures name the worst element.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { maximumMagnitude, worstDifference } from '../../support/differences.mjs';

export { maximumMagnitude, worstDifference };

/** Asserts that no element differs by more than `tolerance`. Returns the largest difference. */
export function assertClose(actual, expected, tolerance, what) {
  const { difference, index } = worstDifference(actual, expected);
  assert.ok(
    difference <= tolerance,
    `${what}: element ${index} of ${actual.length} is ${actual[index]}, expected ${expected[index]} ` +
      `± ${tolerance}; the difference is ${difference}`,
  );
  return difference;
}

/** Like assertClose, with a tolerance per element. Returns the largest ratio of difference to tolerance. */
export function assertWithin(actual, expected, tolerances, what) {
  assert.equal(actual.length, expected.length, `${what}: the number of elements`);
  let maxRatio = 0;
  for (let index = 0; index < actual.length; ++index) {
    const difference = Math.abs(actual[index] - expected[index]);
    if (!(difference <= tolerances[index])) {
      assert.fail(
        `${what}: element ${index} of ${actual.length} is ${actual[index]}, expected ${expected[index]} ` +
          `± ${tolerances[index]}; the difference is ${difference}`,
      );
    }
    if (difference > 0) maxRatio = Math.max(maxRatio, difference / tolerances[index]);
  }
  return maxRatio;
}

/**
 * Returns the largest difference relative to the largest expected magnitude, as the error of a whole
 * gradient.
 */
export function relativeError(actual, expected) {
  return worstDifference(actual, expected).difference / maximumMagnitude(expected);
}

/** Asserts that all elements have the same bits: -0 differs from 0, and NaN equals NaN. */
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
