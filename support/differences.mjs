// How far arrays of numbers are apart. No Node in here: pages compare as well.

/** The largest |actual - expected|, NaN counting as infinite, and where it is. */
export function worstDifference(actual, expected) {
  if (actual.length !== expected.length) {
    throw new RangeError(`${actual.length} elements, expected ${expected.length}`);
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
  let most = 0;
  for (const value of values) most = Math.max(most, Math.abs(value));
  return most;
}
