/** A share as a percentage, with one decimal below 10 %: "9.4 %", "35 %". */
export function percent(share: number): string {
  const value = share * 100;
  return `${value.toFixed(value < 9.95 ? 1 : 0)} %`;
}
