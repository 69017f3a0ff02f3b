// Traces the channels of a projection through reshapes and transposes: what each axis of a tensor is composed
// of. So heads are recognized in whatever order a model splits and moves them.
import { isOne, known, valueOf, wholeQuotient } from './symbolic_size';
import type { SymbolicSize } from './symbolic_size';

/**
 * Part of an axis. `stride` is the distance of neighbouring channels in the projection's result, 0 for other
 * elements.
 */
export interface Piece {
  readonly size: SymbolicSize;
  readonly stride: number;
  /** What the elements of an attention's scores belong to; undefined for other tensors. */
  readonly kind?: Kind;
}
export type Kind = 'batch' | 'heads' | 'tokens' | 'keys';
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
      pieces.push({ ...piece, size: above, stride: piece.stride * (step ?? 0) });
      axis.unshift({ ...piece, size: missing });
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

/** Returns the number of elements of an axis; null if it is not known. */
export const axisSize = (axis: Axis): number | null =>
  axis.reduce<number | null>((total, { size }) => {
    const value = valueOf(size);
    return total === null || value === null ? null : total * value;
  }, 1);

/**
 * Selects `count` channels from `begin` along an axis. Returns the axes and the distance of the first channel
 * from that before; null if the axis has other elements, or the channels are not a part of one piece.
 */
export function selectChannels(
  axes: Axes,
  at: number,
  begin: number,
  count: number,
): { axes: Axes; offset: number } | null {
  const axis = axes[at];
  const size = axis === undefined ? null : axisSize(axis);
  if (size === null || !(begin >= 0 && count >= 1 && begin + count <= size)) return null;
  if (count === size) return { axes, offset: 0 };
  const [first, ...rest] = axis as [Piece, ...Piece[]];
  const inner = axisSize(rest)!;
  const isPart = first.stride > 0 && begin % inner === 0 && count % inner === 0;
  if (!isPart) return null;
  const part = [...pieceOf(known(count / inner), first.stride), ...rest];
  const offset = (begin / inner) * first.stride;
  return { axes: axes.map((one, index) => (index === at ? part : one)), offset };
}

/** Returns axes without one of size 1. */
export const withoutAxis = (axes: Axes, at: number): Axes => axes.filter((_, index) => index !== at);

/** Returns how many channels an axis has if they are contiguous and it has nothing else; else null. */
export function contiguousChannels(axis: Axis | undefined): number | null {
  const channels = axis === undefined ? null : channelsOf(axis);
  const isAlone = axis?.every(({ stride }) => stride > 0);
  return channels !== null && isAlone && (channels.stride === 1 || channels.size === 1)
    ? channels.size
    : null;
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
  readonly headDim: number;
  /** Distance of the first channels of neighbouring heads. */
  readonly headStride: number;
  /** The axis of the heads and the order of heads and rows in it, for comparison with another split. */
  readonly position: string;
}

/** Returns the position of the heads in these axes; '' if there are none, null if they are in several. */
export function headPosition(outer: Axes, isHead: (piece: Piece) => boolean): string | null {
  const withHeads = outer.flatMap((axis, index) => (axis.some(isHead) ? [index] : []));
  const [index] = withHeads;
  if (index === undefined) return '';
  const kinds = outer[index]!.map((piece) => (isHead(piece) ? 'heads' : 'rows'));
  return withHeads.length === 1 ? `${index}: ${[...new Set(kinds)].join()}` : null;
}

/**
 * Returns the split of axes […, rows, channels of one head] (channelAxis -1) or […, channels of one head,
 * rows] (channelAxis -2); null for other axes.
 */
export function headSplit(axes: Axes, channelAxis: -1 | -2): HeadSplit | null {
  const headAxis = axes.at(channelAxis);
  const rows = axes.at(channelAxis === -1 ? -2 : -1);
  if (headAxis === undefined || rows === undefined || !isWithoutChannels(rows)) return null;
  const headDim = contiguousChannels(headAxis);
  const outer = axes.slice(0, -2);
  const position = headPosition(outer, ({ stride }) => stride > 0);
  if (headDim === null || position === null) return null;
  if (position === '') return { heads: 1, headDim, headStride: headDim, position };
  const split = channelsOf(outer.find((axis) => !isWithoutChannels(axis))!);
  // Interleaved channels of heads would need another order of the weights' rows.
  const isApart = split !== null && split.stride >= headDim;
  return isApart ? { heads: split.size, headDim, headStride: split.stride, position } : null;
}
