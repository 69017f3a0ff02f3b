// Shape inference for the operators of networks around attention: convolutions, pooling, resizing,
// reductions.
import { known, one, valueOf } from './symbolic_size';
import type { SymbolicSize } from './symbolic_size';
import { newSize, ofElements, ofShape, unknownValue } from './inferred_value';
import type { Rule, Sizes, Step } from './inferred_value';
import { attributeOf, integerAttribute } from './model_graph';

const sum = (list: readonly number[]): number => list.reduce((total, part) => total + part, 0);

/**
 * Returns one size after a window has moved along an axis. Symbols stay only if the window keeps the size.
 */
function windowedSize(step: Step, size: SymbolicSize, axis: number, kernel: number | null): SymbolicSize {
  const spatial = axis - 2;
  const listed = (name: string, index = spatial) => attributeOf(step.node, name)?.ints[index];
  const padding = attributeOf(step.node, 'pads')?.ints ?? [];
  const pads = (padding[spatial] ?? 0) + (padding[spatial + padding.length / 2] ?? 0);
  const isPlain =
    attributeOf(step.node, 'auto_pad') === undefined && integerAttribute(step.node, 'ceil_mode', 0) === 0;
  if (kernel === null || !isPlain) return newSize(step.value, axis);
  const stride = listed('strides') ?? 1;
  const lost = (kernel - 1) * (listed('dilations') ?? 1) - pads;
  const value = valueOf(size);
  if (value !== null) return known(Math.floor((value - lost - 1) / stride) + 1);
  return stride === 1 && lost === 0 ? size : newSize(step.value, axis);
}

const conv: Rule = (step) => {
  const [image, weight] = [step.input(0).sizes, step.input(1).sizes];
  const rank = image?.length ?? weight?.length;
  if (rank === undefined) return unknownValue;
  const sizes = image ?? Array.from({ length: rank }, (_, axis) => newSize(step.value, axis));
  const kernel = (axis: number) => {
    const size = weight?.[axis];
    return size === undefined ? null : valueOf(size);
  };
  return ofShape(
    sizes.map((size, axis) => {
      if (axis === 0) return size;
      if (axis === 1) return weight?.[0] ?? newSize(step.value, 1);
      return windowedSize(step, size, axis, kernel(axis));
    }),
  );
};

/** The weight is [input channels, output channels of a group, …]. */
const convTranspose: Rule = (step) => {
  const [image, weight] = [step.input(0).sizes, step.input(1).sizes];
  const channels = weight?.[1] === undefined ? null : valueOf(weight[1]);
  if (image === null || channels === null) return unknownValue;
  const group = integerAttribute(step.node, 'group', 1);
  return ofShape(
    image.map((size, axis) => {
      if (axis === 1) return known(channels * group);
      return axis === 0 ? size : newSize(step.value, axis);
    }),
  );
};

const pool: Rule = (step) => {
  const { sizes } = step.input(0);
  const kernel = attributeOf(step.node, 'kernel_shape')?.ints;
  const moved = (size: SymbolicSize, axis: number) =>
    axis < 2 ? size : windowedSize(step, size, axis, kernel?.[axis - 2] ?? null);
  return ofShape(sizes?.map(moved) ?? null);
};

const globalPool: Rule = (step) =>
  ofShape(step.input(0).sizes?.map((size, axis) => (axis < 2 ? size : one)) ?? null);

/** Resize(x, roi, scales, sizes) and Upsample(x, scales). */
const resize: Rule = (step) => {
  const { sizes } = step.input(0);
  if (sizes === null) return unknownValue;
  const target = step.has(3) ? step.input(3).elements : null;
  const scales = step.integers(step.node.opType === 'Upsample' ? 1 : 2, '');
  const axes = attributeOf(step.node, 'axes')?.ints;
  return ofShape(
    sizes.map((size, axis) => {
      const index =
        axes === undefined ? axis : axes.findIndex((at) => (at < 0 ? at + sizes.length : at) === axis);
      if (index < 0) return size;
      const scale = scales?.[index];
      const scaled = scale === 1 ? size : null;
      return target?.[index] ?? scaled ?? newSize(step.value, axis);
    }),
  );
};

/** Every axis may change. */
const unknownSizes: Rule = (step) =>
  ofShape(step.input(0).sizes?.map((_, axis) => newSize(step.value, axis)) ?? null);

const reduce: Rule = (step) => {
  const { sizes } = step.input(0);
  const axes = step.integers(1, 'axes');
  if (sizes === null || (step.has(1) && axes === null)) return unknownValue;
  const isReduced = (axis: number) =>
    axes === null || axes.includes(axis) || axes.includes(axis - sizes.length);
  if (integerAttribute(step.node, 'keepdims', 1) === 0)
    return ofShape(sizes.filter((_, axis) => !isReduced(axis)));
  return ofShape(sizes.map((size, axis) => (isReduced(axis) ? one : size)));
};

/** Returns the sizes of the outputs of a Split along its axis; null if they are unknown. */
export function splitSizes(step: Step, sizes: Sizes): { axis: number; parts: readonly number[] } | null {
  const axis = integerAttribute(step.node, 'axis', 0);
  const from = axis < 0 ? axis + sizes.length : axis;
  const size = sizes[from];
  const total = size === undefined ? null : valueOf(size);
  const count = step.node.output.length;
  const isEqual = !step.has(1) && attributeOf(step.node, 'split') === undefined;
  const chunk = total === null ? 0 : Math.ceil(total / count);
  const equal = step.node.output.map((_, index) => Math.min(chunk, (total ?? 0) - index * chunk));
  const parts = isEqual ? equal : step.integers(1, 'split');
  if (total === null || parts?.length !== count) return null;
  const isValid = parts.every((part) => Number.isInteger(part) && part >= 0) && sum(parts) === total;
  return isValid ? { axis: from, parts } : null;
}

const split: Rule = (step) => {
  const { sizes, elements, isInteger } = step.input(0);
  if (sizes === null) return unknownValue;
  const found = splitSizes(step, sizes);
  const index = step.node.output.indexOf(step.value);
  const axis = integerAttribute(step.node, 'axis', 0);
  const splitAxis = axis < 0 ? axis + sizes.length : axis;
  if (found !== null && elements !== null && sizes.length === 1) {
    const begin = sum(found.parts.slice(0, index));
    return ofElements(elements.slice(begin, begin + found.parts[index]!), isInteger);
  }
  const part = found === null ? newSize(step.value, splitAxis) : known(found.parts[index]!);
  return ofShape(sizes.map((size, at) => (at === splitAxis ? part : size)));
};

const rangeRule: Rule = (step) => ofShape([newSize(step.value, 0)]);

const dequantize: Rule = (step) => ofShape(step.input(0).sizes);

export const layerRules: readonly [string, Rule][] = [
  ['Conv', conv],
  ['ConvTranspose', convTranspose],
  ['MaxPool', pool],
  ['AveragePool', pool],
  ['GlobalAveragePool', globalPool],
  ['Resize', resize],
  ['Upsample', resize],
  ['Pad', unknownSizes],
  ['Tile', unknownSizes],
  ...['Mean', 'Sum', 'Max', 'Min', 'Prod', 'L2', 'SumSquare'].map((name): [string, Rule] => [
    `Reduce${name}`,
    reduce,
  ]),
  ['Split', split],
  ['Range', rangeRule],
  ['DequantizeLinear', dequantize],
];
