// Sizes as far as they are known before a model runs.

/** A number, times sizes that only a run knows, by name: 8·batch. */
export interface Amount {
  readonly factor: number;
  /** Sorted. */
  readonly unknowns: readonly string[];
}

/** Products of more unknowns than any shape is made of are not kept track of. */
const mostUnknowns = 8;

export const known = (factor: number): Amount => ({ factor, unknowns: [] });
export const unknown = (name: string): Amount => ({ factor: 1, unknowns: [name] });
export const one = known(1);

/** Its value; null where that depends on the run. */
export const valueOf = ({ factor, unknowns }: Amount): number | null =>
  unknowns.length === 0 ? factor : null;

export const isOne = (amount: Amount): boolean => valueOf(amount) === 1;

export const isSame = (first: Amount, second: Amount): boolean =>
  first.factor === second.factor && first.unknowns.join('\n') === second.unknowns.join('\n');

/** Null: too many unknowns, or no finite number. */
export function product(first: Amount, second: Amount): Amount | null {
  const factor = first.factor * second.factor;
  const unknowns = [...first.unknowns, ...second.unknowns].sort();
  return Number.isFinite(factor) && unknowns.length <= mostUnknowns ? { factor, unknowns } : null;
}

/** Null where an unknown of the divisor does not cancel out. */
export function quotient(dividend: Amount, divisor: Amount): Amount | null {
  const factor = dividend.factor / divisor.factor;
  if (!Number.isFinite(factor)) return null;
  const unknowns = [...dividend.unknowns];
  for (const name of divisor.unknowns) {
    const index = unknowns.indexOf(name);
    if (index < 0) return null;
    unknowns.splice(index, 1);
  }
  return { factor, unknowns };
}

/** The quotient where it is a whole number of what the unknowns are. */
export function wholeQuotient(dividend: Amount, divisor: Amount): Amount | null {
  const result = quotient(dividend, divisor);
  return result !== null && Number.isInteger(result.factor) ? result : null;
}
