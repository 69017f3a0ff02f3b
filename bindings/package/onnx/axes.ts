// Traces the channels of a projection through reshapes and transposes: what each axis of a tensor is composed
// of. So heads are recognized in whatever order a model splits and moves them.
import { isOne, known, valueOf, wholeQuotient } from './symbolic_size';
import type { SymbolicSize } from './symbolic_size';

/**
 * Part of an axis. `stride` is the distance of neighbouring channels in the projection's result, 0 for other
 * elements.
 */
interface Piece {
  readonly size: SymbolicSize;
  readonly stride: number;
}
/** From the slowest to the fastest. Pieces of size 1 are omitted. */
export type Axis = readonly Piece[];
export type Axes = readonly Axis[];

const pieceOf = (size: SymbolicSize, stride: number): Axis => (isOne(size) ? [] : [{ size, stride }]);

/** Returns the axes of a projection's result. The last one has the channels. */
export const projectedAxes = (outer: readonly SymbolicSize[], channels: number): Axes => [
  ...outer.map((size) => pieceOf(size, 0)),
  pieceOf(known(channels), 1),
];

/** Returns null if `perm` is not a permutation of the axes. */
export function transposeAxes(axes: Axes, perm: readonly number[]): Axes | null {
  const isPermutation = perm.length === axes.length && new Set(perm).size === perm.length;
  const result = perm.map((from) => axes[from]);
  return isPermutation && result.every((axis) => axis !== undefined) ? (result as Axes) : null;
}

/** Removes pieces from the end of `pieces` that form an axis of this size. Returns null if none do. */
function takeAxis(pieces: Piece[], size: SymbolicSize): Axis | null {
  const axis: Piece[] = [];
  let missing = size;
  while (!isOne(missing)) {
    const piece = pieces.pop();
    if (piece === undefined) return null;
    const rest = wholeQuotient(missing, piece.size);
    if (rest !== null) {
      axis.unshift(piece);
      missing = rest;
      continue;
    }
    const above = wholeQuotient(piece.size, missing);
    const step = valueOf(missing);
    if (above !== null && (piece.stride === 0 || step !== null)) {
      pieces.push({ size: above, stride: piece.stride * (step ?? 0) });
      axis.unshift({ size: missing, stride: piece.stride });
    } else {
      // Two symbolic sizes may be equal at run time. Numbers that differ are not, and channels are numbers.
      const mayBeSame = piece.stride === 0 && (valueOf(piece.size) === null || valueOf(missing) === null);
      if (!mayBeSame) return null;
      axis.unshift(piece);
    }
    return axis;
  }
  return axis;
}

/** Returns null if the composition of the new axes is unknown. */
export function reshapeAxes(axes: Axes, sizes: readonly SymbolicSize[]): Axes | null {
  if (sizes.length === 0) return null;
  const pieces = axes.flat();
  const result: Axis[] = [];
  for (const size of sizes.slice(1).reverse()) {
    const axis = takeAxis(pieces, size);
    if (axis === null) return null;
    result.unshift(axis);
  }
  // The first axis has the remaining pieces.
  return [pieces, ...result];
}

/** True if an axis has all channels in their order, and nothing else. */
export function hasAllChannels(axis: Axis | undefined, channels: number): boolean {
  return axis !== undefined && channelsOf(axis)?.size === channels && axis.every(({ stride }) => stride > 0);
}

/** Returns the channels of an axis as one piece (size 1 if it has none); null if they are not contiguous. */
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
  /** The axis of the heads and the order of heads and rows in it, for comparison with another split. */
  readonly position: string;
}

/**
 * Returns the split of axes […, rows, channels of one head] (channelAxis -1) or […, channels of one head,
 * rows] (channelAxis -2); null for other axes.
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
  const headsAxis = outer.findIndex((axis) => !isWithoutChannels(axis));
  if (headsAxis < 0) return heads === 1 ? { heads, position: '' } : null;
  const split = channelsOf(outer[headsAxis]!);
  const isRest = split?.size === heads && split.stride === head.size;
  const isAlone = outer.every((axis, index) => index === headsAxis || isWithoutChannels(axis));
  if (!isRest || !isAlone) return null;
  const kinds = outer[headsAxis]!.map(({ stride }) => (stride > 0 ? 'heads' : 'rows'));
  return { heads, position: `${headsAxis}: ${[...new Set(kinds)].join()}` };
}
