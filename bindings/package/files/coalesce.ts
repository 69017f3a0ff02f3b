// Reads of nearby tensors are joined: a request costs more than a few bytes between them.

export interface Range {
  readonly begin: number;
  readonly end: number;
}
export interface JoinedRange<R extends Range> extends Range {
  readonly parts: R[];
}

/** Unwanted bytes between tensors that may be read, as a share of those that are wanted. */
const maxWaste = 0.01;

/** Joins ranges of one file. The smallest gaps are closed first. */
export function joinRanges<R extends Range>(ranges: readonly R[]): JoinedRange<R>[] {
  const sorted = [...ranges].sort((one, other) => one.begin - other.begin || one.end - other.end);
  const wanted = sorted.reduce((sum, { begin, end }) => sum + end - begin, 0);
  const gaps = sorted.slice(1).map(({ begin }, index) => begin - sorted[index]!.end);
  let budget = maxWaste * wanted;
  const closed = new Set<number>();
  for (const index of gaps.keys()) if (gaps[index]! <= 0) closed.add(index);
  const open = [...gaps.keys()].filter((index) => gaps[index]! > 0).sort((a, b) => gaps[a]! - gaps[b]!);
  for (const index of open) {
    budget -= gaps[index]!;
    if (budget < 0) break;
    closed.add(index);
  }
  const joined: R[][] = [];
  sorted.forEach((range, index) => {
    if (index > 0 && closed.has(index - 1)) joined.at(-1)!.push(range);
    else joined.push([range]);
  });
  return joined.map((parts) => ({
    begin: parts[0]!.begin,
    end: Math.max(...parts.map(({ end }) => end)),
    parts,
  }));
}
