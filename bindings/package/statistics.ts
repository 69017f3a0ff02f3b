/**
 * Returns the median; of an even number of values, the upper of the two in the middle. NaN if there are no
 * values.
 */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

export const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/**
 * Formats a part of a whole with one decimal, such as '12.5 %'. Returns '0.0 %' if the whole is not positive.
 */
export const percent = (part: number, whole: number): string =>
  `${(whole > 0 ? (100 * part) / whole : 0).toFixed(1)} %`;
