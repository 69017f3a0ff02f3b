// Differences between arrays of numbers. Uses no Node API: pages import it, too.

/**
 * Returns the largest |actual − expected| and its index. A NaN in one array only is an infinite difference.
 */
export function worstDifference(actual, expected) {
  if (actual.length !== expected.length) {
    throw new RangeError(`actual has ${actual.length} elements; expected ${expected.length}`);
  }
  let worst = { difference: 0, index: 0 };
  for (let index = 0; index < actual.length; ++index) {
    const difference = Object.is(actual[index], expected[index])
      ? 0
      : Math.abs(actual[index] - expected[index]);
    if (!(difference <= worst.difference)) {
      worst = { difference: Number.isNaN(difference) ? Infinity : difference, index };
    }
  }
  return worst;
}

export function maximumMagnitude(values) {
  let maximum = 0;
  for (const value of values) maximum = Math.max(maximum, Math.abs(value));
  return maximum;
}
