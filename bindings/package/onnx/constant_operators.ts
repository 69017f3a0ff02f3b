// Operators whose results are computed from constants, such as a mask or a weight that a model stores in
// parts.
import { sizeOf } from '../checks';
import {
  broadcastDims,
  combine,
  converted,
  expanded,
  joined,
  maxRank,
  strided,
  stridesOf,
} from './constant_arrays';
import type { ConstantArray } from './constant_arrays';
import type { NodeProto, TensorProto } from './model';
import { attributeOf, hasOldBroadcast, integerAttribute, isStandard, refuse } from './model_graph';
import { isFloatType, readElements } from './tensor_elements';
import { dataTypes } from './tensors';

/** One application of an operator to constants. */
export class ConstantStep {
  constructor(
    readonly node: NodeProto,
    /** The name of the result, of the node's outputs. */
    readonly value: string,
    private readonly inputs: readonly (ConstantArray | null)[],
    /** Throws if results of this size would cost too much. */
    private readonly reserve: (size: number) => void,
  ) {}

  has(index: number): boolean {
    return (this.inputs[index] ?? null) !== null;
  }
  input(index: number): ConstantArray {
    return this.inputs[index] ?? this.fail();
  }
  get all(): readonly ConstantArray[] {
    return this.inputs.map((input) => input ?? this.fail());
  }
  fail(): never {
    return refuse(this.node, 'has invalid inputs or attributes');
  }
  /** Returns integers that are an input or, in older operator sets, an attribute; null if there are none. */
  integers(index: number, attribute = ''): number[] | null {
    if (this.has(index)) return Array.from(this.input(index).elements);
    return attributeOf(this.node, attribute)?.ints ?? null;
  }
  /** Returns a valid shape. */
  shape(dims: readonly (number | null | undefined)[]): number[] {
    const isShape = dims.length <= maxRank && dims.every((dim) => Number.isInteger(dim) && dim! >= 0);
    if (!isShape) this.fail();
    this.reserve(sizeOf(dims as number[]));
    return [...dims] as number[];
  }
  axis(axis: number, rank: number): number {
    const found = axis < 0 ? axis + rank : axis;
    return Number.isInteger(found) && found >= 0 && found < rank ? found : this.fail();
  }
  attributeAxis(rank: number, otherwise: number): number {
    return this.axis(integerAttribute(this.node, 'axis', otherwise), rank);
  }
}

export type ConstantOperator = (step: ConstantStep) => ConstantArray;

const { bool, float } = dataTypes;

/** Elementwise operators. `type`: of the result; that of the last input if it is not given. */
const elementwise =
  (work: (...values: number[]) => number, type?: number): ConstantOperator =>
  (step) => {
    const { all } = step;
    if (all.length === 0 || all.length > 3 || hasOldBroadcast(step.node)) step.fail();
    const dims = step.shape(broadcastDims(...all.map((array) => array.dims)) ?? step.fail());
    return combine(dims, type ?? all.at(-1)!.type, all, work);
  };

const divide: ConstantOperator = (step) => {
  const isFloat = isFloatType(step.input(0).type);
  return elementwise((left, right) => (isFloat ? left / right : Math.trunc(left / right)))(step);
};

/** Any number of inputs. */
const fold =
  (work: (left: number, right: number) => number): ConstantOperator =>
  (step) => {
    const dims = step.shape(broadcastDims(...step.all.map((array) => array.dims)) ?? step.fail());
    const [first, ...others] = step.all as [ConstantArray, ...ConstantArray[]];
    return others.reduce((left, right) => combine(dims, first.type, [left, right], work), first);
  };

const cast: ConstantOperator = (step) => {
  const to = integerAttribute(step.node, 'to', 0);
  const isKnown = Object.values<number>(dataTypes).includes(to);
  return isKnown ? converted(step.input(0), to) : step.fail();
};

const withDims = (step: ConstantStep, dims: readonly number[]): ConstantArray => {
  const array = step.input(0);
  return sizeOf(dims) === array.elements.length ? { ...array, dims: step.shape(dims) } : step.fail();
};

const reshape: ConstantOperator = (step) => {
  const { dims, elements } = step.input(0);
  const target = step.integers(1, 'shape') ?? step.fail();
  const allowsZero = integerAttribute(step.node, 'allowzero', 0) === 1;
  const fixed = target.map((size, axis) => (size === 0 && !allowsZero ? (dims[axis] ?? 0) : size));
  const known = sizeOf(fixed.filter((size) => size !== -1));
  return withDims(
    step,
    fixed.map((size) => (size === -1 ? elements.length / known : size)),
  );
};

const unsqueeze: ConstantOperator = (step) => {
  const { dims } = step.input(0);
  const axes = step.integers(1, 'axes') ?? step.fail();
  const rank = dims.length + axes.length;
  if (rank > maxRank) step.fail();
  const added = new Set(axes.map((axis) => step.axis(axis, rank)));
  const rest = [...dims];
  return withDims(
    step,
    Array.from({ length: rank }, (_, axis) => (added.has(axis) ? 1 : (rest.shift() ?? 1))),
  );
};

const squeeze: ConstantOperator = (step) => {
  const { dims } = step.input(0);
  const axes = step.integers(1, 'axes')?.map((axis) => step.axis(axis, dims.length));
  const isRemoved = (size: number, axis: number) => (axes === undefined ? size === 1 : axes.includes(axis));
  return withDims(
    step,
    dims.filter((size, axis) => !isRemoved(size, axis)),
  );
};

const flatten: ConstantOperator = (step) => {
  const { dims } = step.input(0);
  const axis = integerAttribute(step.node, 'axis', 1);
  const end = axis < 0 ? axis + dims.length : axis;
  return withDims(step, [sizeOf(dims.slice(0, end)), sizeOf(dims.slice(end))]);
};

const transpose: ConstantOperator = (step) => {
  const array = step.input(0);
  const { dims } = array;
  const perm = attributeOf(step.node, 'perm')?.ints ?? dims.map((_, axis) => dims.length - 1 - axis);
  if (perm.length !== dims.length || new Set(perm).size !== perm.length) step.fail();
  const strides = stridesOf(dims);
  const from = perm.map((axis) => step.axis(axis, dims.length));
  return strided(
    array,
    step.shape(from.map((axis) => dims[axis])),
    from.map((axis) => strides[axis]!),
  );
};

const expand: ConstantOperator = (step) => {
  const array = step.input(0);
  const target = step.integers(1) ?? step.fail();
  return expanded(array, step.shape(broadcastDims(array.dims, target) ?? step.fail()));
};

const tile: ConstantOperator = (step) => {
  const array = step.input(0);
  const repeats = step.integers(1) ?? step.fail();
  const { dims } = array;
  if (repeats.length !== dims.length || dims.length > maxRank / 2) step.fail();
  const result = step.shape(dims.map((size, axis) => size * repeats[axis]!));
  const strides = stridesOf(dims);
  const parts = strided(
    array,
    dims.flatMap((size, axis) => [repeats[axis]!, size]),
    strides.flatMap((stride) => [0, stride]),
  );
  return { ...parts, dims: result };
};

const constantOfShape: ConstantOperator = (step) => {
  const dims = step.shape(step.integers(0) ?? step.fail());
  const value = attributeOf(step.node, 'value')?.t;
  const [element = step.fail()] = value === undefined ? [0] : readElements(value);
  const single = { dims: [], elements: Float64Array.of(element), type: value?.dataType ?? float };
  return expanded(single, dims);
};

const range: ConstantOperator = (step) => {
  const [start, limit, delta] = [0, 1, 2].map((index) => step.input(index).elements[0]!) as [
    number,
    number,
    number,
  ];
  const [size] = step.shape([Math.max(Math.ceil((limit - start) / delta), 0)]) as [number];
  const elements = Float64Array.from({ length: size }, (_, index) => start + index * delta);
  return { dims: [size], elements, type: step.input(0).type };
};

const trilu: ConstantOperator = (step) => {
  const array = step.input(0);
  const dims = step.shape(array.dims);
  const [rows, columns] = [dims.at(-2) ?? step.fail(), dims.at(-1)!];
  const shift = step.has(1) ? step.input(1).elements[0]! : 0;
  const isUpper = integerAttribute(step.node, 'upper', 1) !== 0;
  const elements = array.elements.map((value, index) => {
    const distance = (index % columns) - (Math.floor(index / columns) % rows) - shift;
    return (isUpper ? distance >= 0 : distance <= 0) ? value : 0;
  });
  return { ...array, elements };
};

const gather: ConstantOperator = (step) => {
  const [array, indices] = [step.input(0), step.input(1)];
  const { dims } = array;
  const axis = step.attributeAxis(dims.length, 0);
  const parts = [...indices.elements].map((index) =>
    slicePart(array, axis, step.axis(index, dims[axis]!), 1),
  );
  const result = step.shape([...dims.slice(0, axis), ...indices.dims, ...dims.slice(axis + 1)]);
  return parts.length === 0 ? step.fail() : { ...joined(parts, axis), dims: result };
};

/** Returns `count` elements along an axis. */
const slicePart = (
  array: ConstantArray,
  axis: number,
  begin: number,
  count: number,
  step = 1,
): ConstantArray => {
  const strides = stridesOf(array.dims);
  const dims = array.dims.map((size, index) => (index === axis ? count : size));
  const offset = begin * strides[axis]!;
  strides[axis]! *= step;
  return strided(array, dims, strides, offset);
};

const slice: ConstantOperator = (step) => {
  const starts = step.integers(1, 'starts') ?? step.fail();
  const ends = step.integers(2, 'ends') ?? step.fail();
  const axes = step.integers(3, 'axes') ?? starts.map((_, axis) => axis);
  const steps = step.integers(4) ?? starts.map(() => 1);
  let array = step.input(0);
  step.shape(array.dims);
  starts.forEach((start, index) => {
    const axis = step.axis(axes[index] ?? NaN, array.dims.length);
    const size = array.dims[axis]!;
    const stride = steps[index] || step.fail();
    const clamp = (position: number) => {
      const place = position < 0 ? position + size : position;
      return stride > 0 ? Math.min(Math.max(place, 0), size) : Math.min(Math.max(place, -1), size - 1);
    };
    const begin = clamp(start);
    const count = Math.max(Math.ceil((clamp(ends[index] ?? step.fail()) - begin) / stride), 0);
    array = slicePart(array, axis, begin, count, stride);
  });
  return array;
};

const split: ConstantOperator = (step) => {
  const array = step.input(0);
  const axis = step.attributeAxis(array.dims.length, 0);
  const outputs = step.node.output;
  const size = array.dims[axis]!;
  const equal = Math.ceil(size / outputs.length);
  const sizes = step.integers(1, 'split') ?? outputs.map((_, index) => Math.min(equal, size - index * equal));
  const index = outputs.indexOf(step.value);
  const begin = sizes.slice(0, index).reduce((sum, part) => sum + part, 0);
  const count = sizes[index] ?? step.fail();
  if (begin < 0 || count < 0 || begin + count > size) step.fail();
  step.shape(array.dims);
  return slicePart(array, axis, begin, count);
};

const concat: ConstantOperator = (step) => {
  const { all } = step;
  const [first = step.fail()] = all;
  const axis = step.attributeAxis(first.dims.length, 0);
  const fits = all.every(
    ({ dims }) =>
      dims.length === first.dims.length &&
      dims.every((size, index) => index === axis || size === first.dims[index]),
  );
  if (!fits) step.fail();
  all.forEach(({ dims }) => step.shape(dims));
  return joined(all, axis);
};

/** The scale and the zero point: one number, one for each index along an axis, or one for each block. */
const dequantize: ConstantOperator = (step) => {
  const [array, scale] = [step.input(0), step.input(1)];
  const { dims } = array;
  const type = integerAttribute(step.node, 'output_dtype', 0) || scale.type;
  const block = integerAttribute(step.node, 'block_size', 0);
  const spread = (parameter: ConstantArray): ConstantArray => {
    if (block === 0 && parameter.elements.length === 1) return { ...parameter, dims: [] };
    const axis = step.attributeAxis(dims.length, 1);
    if (block === 0) {
      const isList = parameter.dims.length === 1 && parameter.dims[0] === dims[axis];
      return isList
        ? { ...parameter, dims: dims.map((size, index) => (index === axis ? size : 1)) }
        : step.fail();
    }
    const blocks = Math.ceil(dims[axis]! / block);
    const expected = dims.map((size, index) => (index === axis ? blocks : size));
    if (block < 0 || parameter.dims.join() !== expected.join()) step.fail();
    const strides = stridesOf(expected);
    const within = (list: readonly number[], added: number) =>
      list.flatMap((one, index) => (index === axis ? [one, added] : one));
    const repeated = strided(parameter, step.shape(within(expected, block)), within(strides, 0));
    const whole = expected.map((size, index) => (index === axis ? size * block : size));
    return slicePart({ ...repeated, dims: whole }, axis, 0, dims[axis]!);
  };
  const zero = step.has(2) ? [spread(step.input(2))] : [];
  return combine(
    step.shape(dims),
    type,
    [array, spread(scale), ...zero],
    (value, factor, point) => (value - point) * factor,
  );
};

const isTrue = (value: boolean): number => (value ? 1 : 0);

const operators = new Map<string, ConstantOperator>([
  ['Identity', (step) => step.input(0)],
  ['Cast', cast],
  ['CastLike', (step) => converted(step.input(0), step.input(1).type)],
  ['Add', elementwise((left, right) => left + right)],
  ['Sub', elementwise((left, right) => left - right)],
  ['Mul', elementwise((left, right) => left * right)],
  ['Div', divide],
  ['Pow', elementwise((left, right) => left ** right)],
  ['Neg', elementwise((value) => -value)],
  ['Abs', elementwise(Math.abs)],
  ['Sqrt', elementwise(Math.sqrt)],
  ['Reciprocal', elementwise((value) => 1 / value)],
  ['Exp', elementwise(Math.exp)],
  ['Log', elementwise(Math.log)],
  ['Floor', elementwise(Math.floor)],
  ['Ceil', elementwise(Math.ceil)],
  ['Sign', elementwise(Math.sign)],
  ['Sigmoid', elementwise((value) => 1 / (1 + Math.exp(-value)))],
  ['Min', fold(Math.min)],
  ['Max', fold(Math.max)],
  ['Equal', elementwise((left, right) => isTrue(left === right), bool)],
  ['Less', elementwise((left, right) => isTrue(left < right), bool)],
  ['LessOrEqual', elementwise((left, right) => isTrue(left <= right), bool)],
  ['Greater', elementwise((left, right) => isTrue(left > right), bool)],
  ['GreaterOrEqual', elementwise((left, right) => isTrue(left >= right), bool)],
  ['Not', elementwise((value) => isTrue(value === 0), bool)],
  ['And', elementwise((left, right) => isTrue(left !== 0 && right !== 0), bool)],
  ['Or', elementwise((left, right) => isTrue(left !== 0 || right !== 0), bool)],
  ['Xor', elementwise((left, right) => isTrue((left !== 0) !== (right !== 0)), bool)],
  ['IsNaN', elementwise((value) => isTrue(Number.isNaN(value)), bool)],
  ['Where', elementwise((condition, yes, no) => (condition === 0 ? no : yes))],
  ['Reshape', reshape],
  ['Unsqueeze', unsqueeze],
  ['Squeeze', squeeze],
  ['Flatten', flatten],
  ['Transpose', transpose],
  ['Expand', expand],
  ['Tile', tile],
  ['ConstantOfShape', constantOfShape],
  ['Range', range],
  ['Trilu', trilu],
  ['Gather', gather],
  ['Slice', slice],
  ['Split', split],
  ['Concat', concat],
  ['DequantizeLinear', dequantize],
]);

/** Returns undefined for operators that are not computed. */
export const constantOperator = (node: NodeProto): ConstantOperator | undefined =>
  isStandard(node) ? operators.get(node.opType) : undefined;

/** Returns a tensor of the file as an array. */
export const arrayOf = (tensor: TensorProto): ConstantArray => ({
  dims: tensor.dims,
  elements: readElements(tensor),
  type: tensor.dataType ?? 0,
});
