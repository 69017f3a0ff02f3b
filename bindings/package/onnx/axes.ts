// Where the channels of a projection are after its result was reshaped and transposed: what the axes of a tensor are made
// of. This is how heads are recognised, whatever the order in which a model splits and moves them.
import { isOne, known, valueOf, wholeQuotient } from './amounts';
import type { Amount } from './amounts';

/** Part of an axis. Channels have a stride: how far apart in the projection's result neighbours are; others have 0. */
interface Piece {
  readonly size: Amount;
  readonly stride: number;
}
/** From the slowest to the fastest; pieces of size one are left out. */
export type Axis = readonly Piece[];
export type Axes = readonly Axis[];

const pieceOf = (size: Amount, stride: number): Axis => (isOne(size) ? [] : [{ size, stride }]);

/** The axes of a projection's result: the last one has the channels. */
export const projectedAxes = (outer: readonly Amount[], channels: number): Axes => [
  ...outer.map((size) => pieceOf(size, 0)),
  pieceOf(known(channels), 1),
];

/** Null where `perm` is none of the axes. */
export function transposeAxes(axes: Axes, perm: readonly number[]): Axes | null {
  const isPermutation = perm.length === axes.length && new Set(perm).size === perm.length;
  const result = perm.map((from) => axes[from]);
  return isPermutation && result.every((axis) => axis !== undefined) ? (result as Axes) : null;
}

/** Takes pieces off the end of `pieces` that make up an axis of this size; null where none do. */
function takeAxis(pieces: Piece[], size: Amount): Axis | null {
  const axis: Piece[] = [];
  let missing = size;
  while (!isOne(missing)) {
    const piece = pieces.pop();
    if (piece === undefined) return null;
    const more = wholeQuotient(missing, piece.size);
    if (more !== null) {
      axis.unshift(piece);
      missing = more;
      continue;
    }
    const above = wholeQuotient(piece.size, missing);
    const step = valueOf(missing);
    if (above !== null && (piece.stride === 0 || step !== null)) {
      pieces.push({ size: above, stride: piece.stride * (step ?? 0) });
      axis.unshift({ size: missing, stride: piece.stride });
    } else {
      // Two sizes that only a run knows are taken as one; this cannot be with numbers, and channels are numbers.
      const mayBeSame = piece.stride === 0 && (valueOf(piece.size) === null || valueOf(missing) === null);
      if (!mayBeSame) return null;
      axis.unshift(piece);
    }
    return axis;
  }
  return axis;
}

/** Null where the axes cannot be told. */
export function reshapeAxes(axes: Axes, sizes: readonly Amount[]): Axes | null {
  if (sizes.length === 0) return null;
  const pieces = axes.flat();
  const result: Axis[] = [];
  for (const size of sizes.slice(1).reverse()) {
    const axis = takeAxis(pieces, size);
    if (axis === null) return null;
    result.unshift(axis);
  }
  // The first axis has what is left.
  return [pieces, ...result];
}

/** Whether an axis has all of the channels in their order, and nothing else. */
export function hasAllChannels(axis: Axis | undefined, channels: number): boolean {
  return axis !== undefined && channelsOf(axis)?.size === channels && axis.every(({ stride }) => stride > 0);
}

/** The channels of an axis as one piece; null where they are not next to each other. Without any: size 1. */
function channelsOf(axis: Axis): { size: number; stride: number } | null {
  let size = 1;
  let stride = 0;
  for (const piece of [...axis].reverse()) {
    if (piece.stride === 0) continue;
    if (stride !== 0 && piece.stride !== size * stride) return null;
    if (stride === 0) stride = piece.stride;
    size *= valueOf(piece.size) ?? NaN;
  }
  return { size, stride };
}

const isWithoutChannels = (axis: Axis): boolean => axis.every(({ stride }) => stride === 0);

/** How the channels are split into heads. */
export interface HeadSplit {
  readonly heads: number;
  /** Which axis has the heads, and what is before and after them in it. */
  readonly place: string;
}

/**
 * Of axes […, rows, channels of one head], or with the last two exchanged, where `channelAxis` says so. Null where they are
 * anything else.
 */
export function headSplit(axes: Axes, channels: number, channelAxis: -1 | -2): HeadSplit | null {
  const headAxis = axes.at(channelAxis);
  const rows = axes.at(channelAxis === -1 ? -2 : -1);
  if (headAxis === undefined || rows === undefined || !isWithoutChannels(rows)) return null;
  const head = channelsOf(headAxis);
  const isHead =
    head !== null && headAxis.every(({ stride }) => stride > 0) && (head.size === 1 || head.stride === 1);
  if (!isHead || channels % head.size !== 0) return null;
  const heads = channels / head.size;
  const outer = axes.slice(0, -2);
  const place = outer.findIndex((axis) => !isWithoutChannels(axis));
  if (place < 0) return heads === 1 ? { heads, place: '' } : null;
  const split = channelsOf(outer[place]!);
  const isRest = split?.size === heads && split.stride === head.size;
  const isAlone = outer.every((axis, index) => index === place || isWithoutChannels(axis));
  if (!isRest || !isAlone) return null;
  const kinds = outer[place]!.map(({ stride }) => (stride > 0 ? 'heads' : 'rows'));
  return { heads, place: `${place}: ${[...new Set(kinds)].join()}` };
}
