// Sizes that are products of a number and of symbols whose values are known only at run time.

/** A number times symbols, such as 8·batch. */
export interface SymbolicSize {
  readonly factor: number;
  /** The symbols' names, sorted. */
  readonly symbols: readonly string[];
}

/** Products of more symbols are treated as unknown: no shape needs them. */
const maxSymbols = 8;

export const known = (factor: number): SymbolicSize => ({ factor, symbols: [] });
export const symbol = (name: string): SymbolicSize => ({ factor: 1, symbols: [name] });
export const one = known(1);

/** Returns the value; null if it depends on symbols. */
export const valueOf = ({ factor, symbols }: SymbolicSize): number | null =>
  symbols.length === 0 ? factor : null;

export const isOne = (size: SymbolicSize): boolean => valueOf(size) === 1;

/** Returns null if the product has too many symbols or is not finite. */
export function product(first: SymbolicSize, second: SymbolicSize): SymbolicSize | null {
  const factor = first.factor * second.factor;
  const symbols = [...first.symbols, ...second.symbols].sort();
  return Number.isFinite(factor) && symbols.length <= maxSymbols ? { factor, symbols } : null;
}

/** Returns null if a symbol of the divisor does not cancel out. */
export function quotient(dividend: SymbolicSize, divisor: SymbolicSize): SymbolicSize | null {
  const factor = dividend.factor / divisor.factor;
  if (!Number.isFinite(factor)) return null;
  const symbols = [...dividend.symbols];
  for (const name of divisor.symbols) {
    const index = symbols.indexOf(name);
    if (index < 0) return null;
    symbols.splice(index, 1);
  }
  return { factor, symbols };
}

/** Returns the quotient if its number is an integer, else null. */
export function wholeQuotient(dividend: SymbolicSize, divisor: SymbolicSize): SymbolicSize | null {
  const result = quotient(dividend, divisor);
  return result !== null && Number.isInteger(result.factor) ? result : null;
}
