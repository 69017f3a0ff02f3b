// Masks and biases of scores: constants as one additive mask in the layout of the layer, and others as
// arguments of a call.
import { show, sizeOf } from '../checks';
import { axisSize } from './axes';
import type { Axes, Kind } from './axes';
import { broadcastDims, combine, strided, stridesOf } from './constant_arrays';
import type { ConstantArray } from './constant_arrays';
import { isReshape, isTransparent } from './linear';
import type { Search } from './linear';
import type { NodeProto } from './model';
import { isStandard, refuse } from './model_graph';
import { dataTypes } from './tensors';

/**
 * Values up to this one exclude a key: exp(-10000) is 0 in both precisions, for all scores that a model may
 * have. diffusers uses -10000.
 */
export const maxExcluding = -1e4;
/** A number that absorbs all scores, as the mask that replaced them did, but no infinity. */
const lowest = -3.4028234663852886e38;
const maxMaskSize = 2 ** 26;

const order: readonly Kind[] = ['batch', 'heads', 'tokens', 'keys'];

/**
 * Returns an array that broadcasts over scores of these axes as [batch, heads, tokens, keys]. Throws
 * WeightsError if an axis of the array belongs to several of these.
 */
export function placed(node: NodeProto, array: ConstantArray, axes: Axes): ConstantArray {
  const fail = () =>
    refuse(node, `has a mask of shape ${show(array.dims)}; expected one that broadcasts over the scores`);
  const { dims } = array;
  const missing = axes.length - dims.length;
  const all = stridesOf(dims);
  const sizes = [1, 1, 1, 1];
  const strides = [0, 0, 0, 0];
  const assign = (kind: Kind, size: number, stride: number) => {
    const index = order.indexOf(kind);
    if (size === 1) return;
    if (sizes[index] !== 1) fail();
    sizes[index] = size;
    strides[index] = stride;
  };
  dims.forEach((size, own) => {
    if (size === 1) return;
    const axis = axes[own + missing] ?? fail();
    const kinds = [...new Set(axis.map(({ kind }) => kind ?? fail()))];
    const [first = fail(), second, third] = kinds;
    const stride = all[own]!;
    if (second === undefined) return assign(first, size, stride);
    const heads = axisSize(axis.filter(({ kind }) => kind === 'heads'));
    const isBatchOfHeads = third === undefined && kinds.includes('batch') && kinds.includes('heads');
    if (!isBatchOfHeads || heads === null || size % heads !== 0) fail();
    const inner = second === 'heads' ? heads! : size / heads!;
    assign(first, size / inner, stride * inner);
    assign(second, inner, stride);
  });
  return strided(array, sizes, strides);
}

/** Combines arrays [batch, heads, tokens, keys]. */
export function combined(
  node: NodeProto,
  arrays: readonly ConstantArray[],
  work: (...values: number[]) => number,
): ConstantArray {
  const dims = broadcastDims(...arrays.map((array) => array.dims));
  if (dims === null || sizeOf(dims) > maxMaskSize) {
    refuse(node, `combines masks of the shapes ${show(arrays.map((array) => array.dims))}`);
  }
  return combine(dims, dataTypes.double, arrays, work);
}

/** Returns a number as an array. */
export const single = (value: number): ConstantArray => ({
  dims: [1, 1, 1, 1],
  elements: Float64Array.of(value),
  type: dataTypes.double,
});

/**
 * Returns the additive mask of scores · keep + added, or null if it has no effect. Throws WeightsError if
 * scores are replaced by values that do not exclude a key.
 */
export function additiveMask(
  node: NodeProto,
  keep: ConstantArray | null,
  added: ConstantArray | null,
): ConstantArray | null {
  if (keep === null && added === null) return null;
  const mask = combined(node, [keep ?? single(1), added ?? single(0)], (kept, value) => {
    if (Number.isNaN(value) || value === Infinity) refuse(node, `has a mask with the value ${value}`);
    if (kept !== 0) return value;
    if (value > maxExcluding) {
      refuse(node, `replaces scores by ${value}; expected at most ${maxExcluding}, which excludes a key`);
    }
    return value === -Infinity ? value : lowest;
  });
  const elements = mask.elements as Float64Array;
  // Softmax does not change if one number is added to all scores of a row.
  if (mask.dims[3] === 1) {
    if (elements.every((value) => value > -Infinity)) return null;
    refuse(node, 'has a mask that excludes all keys of a row');
  }
  const hasEffect = elements.some((value) => value !== 0);
  return hasEffect ? mask : null;
}

/** Returns where keys come after tokens, as [1, 1, tokens, keys]: 0 before, -infinity after. */
export function causalMask(tokens: number, keys: number): ConstantArray {
  const elements = new Float64Array(tokens * keys);
  for (let token = 0; token < tokens; ++token) {
    for (let key = token + 1; key < keys; ++key) elements[token * keys + key] = -Infinity;
  }
  return { dims: [1, 1, tokens, keys], elements, type: dataTypes.double };
}

// ---------------------------------------------------------------------------------- masks of a call

/** Operators that compute a mask from another one, element by element. */
const elementwise = new Set([
  ...['Add', 'Sub', 'Mul', 'Div', 'Neg', 'Abs', 'Min', 'Max', 'Clip', 'Log', 'Exp', 'Sign', 'Where', 'Not'],
  ...['And', 'Or', 'Xor', 'Equal', 'Less', 'LessOrEqual', 'Greater', 'GreaterOrEqual', 'Concat', 'Cast'],
]);
/** Operators that move the elements of their first input. */
const movers = new Set(['Expand', 'Transpose', 'Slice', 'Tile', 'Split', 'Gather']);
const maxVisited = 256;

/**
 * Returns the inputs of the model from which it computes a mask: an argument of a call. Throws WeightsError
 * if the mask depends on `tokens`, on sizes that are known only at run time, or on a constant whose elements
 * differ, which the caller would have to know.
 */
export function maskInputs(
  search: Search,
  node: NodeProto,
  mask: string,
  tokens: readonly string[],
): string[] {
  const { graph, constants } = search;
  const inputs = new Set<string>();
  const seen = new Set([mask]);
  // The set grows during the iteration.
  for (const value of seen) {
    if (constants.uniform(value) !== null) continue;
    if (constants.has(value)) {
      refuse(node, `combines the constant ${show(value)} with an input of the model; expected one of both`);
    }
    if (tokens.includes(value) || seen.size > maxVisited) {
      refuse(node, 'has a bias of the scores that depends on the tokens; expected a mask');
    }
    const from = graph.producer(value);
    if (from === undefined) {
      inputs.add(value);
      continue;
    }
    const isMover =
      isReshape(from) || isTransparent(search, from) || (isStandard(from) && movers.has(from.opType));
    if (isMover) seen.add(from.input[0] ?? '');
    else if (isStandard(from) && elementwise.has(from.opType)) from.input.forEach((input) => seen.add(input));
    else
      refuse(from, 'computes a mask from sizes or other values known only at run time; expected a constant');
    seen.delete('');
  }
  if (inputs.size === 0) refuse(node, 'has a mask that depends on nothing');
  return [...inputs];
}
