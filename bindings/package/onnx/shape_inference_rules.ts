// Shape inference for each operator: shape and, if they are few, elements of its result from those of its
// inputs.
import { isOne, known, one, product, quotient, valueOf, wholeQuotient } from './symbolic_size';
import type { SymbolicSize } from './symbolic_size';
import { isIntegerType, maxElements, newSize, unknownValue, ofElements, ofShape } from './inferred_value';
import type { Elements, Rule, Sizes, Step } from './inferred_value';
import { layerRules } from './shape_inference_layers';
import { attributeOf, einsumEquation, integerAttribute, isStandard } from './model_graph';
import type { NodeProto } from './model';

const keepShape: Rule = (step) => ({ ...unknownValue, sizes: step.input(0).sizes });
const keepAll: Rule = (step) => step.input(0);

/** Broadcasts two shapes as NumPy does. An unknown shape is assumed to fit the other. */
function broadcast(first: Sizes | null, second: Sizes | null): Sizes | null {
  if (first === null || second === null) return first ?? second;
  const rank = Math.max(first.length, second.length);
  const at = (sizes: Sizes, axis: number) => sizes[axis - rank + sizes.length] ?? one;
  return Array.from({ length: rank }, (_, axis) => {
    const [here, there] = [at(first, axis), at(second, axis)];
    if (isOne(here)) return there;
    // Two sizes that differ symbolically are equal at run time; a number is preferred.
    return valueOf(there) !== null && !isOne(there) ? there : here;
  });
}

const isList = (sizes: Sizes | null): boolean => sizes !== null && sizes.length <= 1;

type Arithmetic = (first: SymbolicSize, second: SymbolicSize, isInteger: boolean) => SymbolicSize | null;

/** Arithmetic on numbers; the result is unknown for symbols. */
const numeric =
  (work: (first: number, second: number) => number): Arithmetic =>
  (first, second) => {
    const [here, there] = [valueOf(first), valueOf(second)];
    if (here === null || there === null) return null;
    const result = work(here, there);
    return Number.isFinite(result) ? known(result) : null;
  };

const divide: Arithmetic = (first, second, isInteger) => {
  const result = quotient(first, second);
  if (result === null || !isInteger || Number.isInteger(result.factor)) return result;
  return result.symbols.length === 0 ? known(Math.trunc(result.factor)) : null;
};

/** Combines two inputs element by element. */
const combine =
  (work: Arithmetic): Rule =>
  (step) => {
    const [first, second] = [step.input(0), step.input(1)];
    const sizes = broadcast(first.sizes, second.sizes);
    const isInteger = first.isInteger && second.isInteger;
    if (first.elements === null || second.elements === null || !isList(sizes)) return ofShape(sizes);
    const length = Math.max(first.elements.length, second.elements.length);
    const at = (elements: Elements, index: number) => elements[elements.length === 1 ? 0 : index] ?? null;
    const elements = Array.from({ length }, (_, index) => {
      const [here, there] = [at(first.elements!, index), at(second.elements!, index)];
      return here === null || there === null ? null : work(here, there, isInteger);
    });
    return { sizes, elements, isInteger };
  };

/** Maps one input element by element. */
const map =
  (work: (value: number) => number): Rule =>
  (step) => {
    const { sizes, elements, isInteger } = step.input(0);
    const results = elements?.map((element) => {
      const value = element === null ? null : valueOf(element);
      const result = value === null ? NaN : work(value);
      return Number.isFinite(result) ? known(result) : null;
    });
    return { sizes, elements: results ?? null, isInteger };
  };

const cast: Rule = (step) => {
  const isInteger = isIntegerType(integerAttribute(step.node, 'to', 0));
  const truncate = isInteger && !step.input(0).isInteger;
  return { ...(truncate ? map(Math.trunc)(step) : step.input(0)), isInteger };
};

/** Returns a range of indices, which may count from the end, clamped to the length. */
const range = (length: number, start: number, end: number): [number, number] => {
  const clamp = (index: number) => Math.min(Math.max(index < 0 ? index + length : index, 0), length);
  return [clamp(start), clamp(end)];
};

const shape: Rule = (step) => {
  const { sizes } = step.input(0);
  if (sizes === null) return { ...unknownValue, isInteger: true };
  const { node } = step;
  const start = integerAttribute(node, 'start', 0);
  return ofElements(
    sizes.slice(...range(sizes.length, start, integerAttribute(node, 'end', sizes.length))),
    true,
  );
};

const gather: Rule = (step) => {
  const { elements, isInteger } = step.input(0);
  const indices = step.integers(1, '');
  const [sizes, chosen] = [step.input(0).sizes, step.input(1).sizes];
  const isScalar = chosen?.length === 0;
  if (elements === null || indices === null) {
    const axis = integerAttribute(step.node, 'axis', 0);
    const from = axis < 0 ? axis + (sizes?.length ?? 0) : axis;
    const isKnown = sizes !== null && chosen !== null;
    const all = isKnown ? [...sizes.slice(0, from), ...chosen, ...sizes.slice(from + 1)] : null;
    return { ...unknownValue, sizes: all, isInteger };
  }
  const length = elements.length;
  return ofElements(
    indices.map((index) => elements[index < 0 ? index + length : index] ?? null),
    isInteger,
    isScalar,
  );
};

/** Returns the sizes after a Slice: those of other axes stay, those that depend on symbols are unknown. */
function slicedSizes(
  step: Step,
  starts: readonly number[] | null,
  ends: readonly number[] | null,
  steps: readonly number[] | null,
  axes: readonly number[] | null,
): Sizes | null {
  const { sizes } = step.input(0);
  if (sizes === null) return null;
  return sizes.map((size, axis) => {
    if (axes === null) return newSize(step.value, axis);
    const index = axes.findIndex((one) => (one < 0 ? one + sizes.length : one) === axis);
    if (index < 0) return size;
    const [length, start, end] = [valueOf(size), starts?.[index], ends?.[index]];
    const isPlain = length !== null && start !== undefined && end !== undefined;
    if (!isPlain || (step.has(4) && steps?.[index] !== 1)) return newSize(step.value, axis);
    const [from, to] = range(length, start, end);
    return known(Math.max(to - from, 0));
  });
}

const slice: Rule = (step) => {
  const { elements, isInteger } = step.input(0);
  const starts = step.integers(1, 'starts');
  const ends = step.integers(2, 'ends');
  const steps = step.has(4) ? step.integers(4, '') : [1];
  const isPlain = starts?.length === 1 && ends?.length === 1 && steps?.length === 1 && steps[0] === 1;
  if (elements === null || !isPlain) {
    const axes = step.has(3)
      ? step.integers(3, '')
      : (attributeOf(step.node, 'axes')?.ints ?? starts?.map((_, axis) => axis));
    return { ...unknownValue, sizes: slicedSizes(step, starts, ends, steps, axes ?? null), isInteger };
  }
  return ofElements(elements.slice(...range(elements.length, starts[0]!, ends[0]!)), isInteger);
};

const concat: Rule = (step) => {
  const inputs = step.node.input.map((_, index) => step.input(index));
  const first = inputs[0]?.sizes;
  if (!first || inputs.some(({ sizes }) => sizes?.length !== first.length)) return unknownValue;
  const isInteger = inputs.every((input) => input.isInteger);
  const lengths = inputs.map(({ sizes }) => valueOf(sizes![0] ?? one));
  const total = lengths.reduce((sum, length) => (sum === null || length === null ? null : sum + length), 0);
  if (first.length === 1 && total !== null && total <= maxElements) {
    const all = inputs.flatMap(
      ({ elements }, index) => elements ?? new Array<null>(lengths[index]!).fill(null),
    );
    return ofElements(all, isInteger);
  }
  const axis = integerAttribute(step.node, 'axis', 0);
  const joined = axis < 0 ? axis + first.length : axis;
  const sizeOfJoined = inputs.reduce<number | null>((sum, { sizes }) => {
    const size = valueOf(sizes![joined] ?? newSize(step.value, joined));
    return sum === null || size === null ? null : sum + size;
  }, 0);
  const joinedSize = sizeOfJoined === null ? newSize(step.value, joined) : known(sizeOfJoined);
  return ofShape(first.map((size, index) => (index === joined ? joinedSize : size)));
};

const reshape: Rule = (step) => {
  const { elements, isInteger, sizes } = step.input(0);
  const target = step.has(1) ? step.input(1) : null;
  const listed = attributeOf(step.node, 'shape')?.ints.map(known);
  const shape: Elements | null = target?.elements ?? listed ?? null;
  if (shape === null) {
    const rank = valueOf(target?.sizes?.[0] ?? newSize(step.value, 0));
    if (rank === null || rank > maxElements) return unknownValue;
    return ofShape(Array.from({ length: rank }, (_, axis) => newSize(step.value, axis)));
  }
  const allowsZero = integerAttribute(step.node, 'allowzero', 0) === 1;
  const isFree = (size: SymbolicSize | null) => size !== null && valueOf(size) === -1;
  const fixed = shape.map((size, axis) => {
    if (size === null) return newSize(step.value, axis);
    if (valueOf(size) === 0 && !allowsZero) return sizes?.[axis] ?? newSize(step.value, axis);
    return size;
  });
  const multiply = (total: SymbolicSize | null, size: SymbolicSize) => total && product(total, size);
  const total = sizes?.reduce<SymbolicSize | null>(multiply, one) ?? null;
  const others = fixed.filter((size) => !isFree(size)).reduce<SymbolicSize | null>(multiply, one);
  const rest = total && others && wholeQuotient(total, others);
  const result = fixed.map((size, axis) => (isFree(size) ? (rest ?? newSize(step.value, axis)) : size));
  return { sizes: result, elements: result.length <= 1 ? elements : null, isInteger };
};

const unsqueeze: Rule = (step) => {
  const { sizes, elements, isInteger } = step.input(0);
  const axes = step.integers(1, 'axes');
  if (sizes === null || axes === null || axes.length > maxElements) return unknownValue;
  const rank = sizes.length + axes.length;
  const added = new Set(axes.map((axis) => (axis < 0 ? axis + rank : axis)));
  const rest = [...sizes];
  const result = Array.from({ length: rank }, (_, axis) => (added.has(axis) ? one : (rest.shift() ?? one)));
  return { sizes: result, elements: result.length <= 1 ? elements : null, isInteger };
};

const squeeze: Rule = (step) => {
  const { sizes, elements, isInteger } = step.input(0);
  const axes = step.integers(1, 'axes');
  if (sizes === null || (step.has(1) && axes === null)) return unknownValue;
  const removed = new Set(axes?.map((axis) => (axis < 0 ? axis + sizes.length : axis)));
  const isRemoved = (size: SymbolicSize, axis: number) => (axes === null ? isOne(size) : removed.has(axis));
  return { sizes: sizes.filter((size, axis) => !isRemoved(size, axis)), elements, isInteger };
};

const flatten: Rule = (step) => {
  const { sizes } = step.input(0);
  if (sizes === null) return unknownValue;
  const [end] = range(sizes.length, integerAttribute(step.node, 'axis', 1), 0);
  const size = (part: Sizes, axis: number) =>
    part.reduce<SymbolicSize | null>((total, next) => total && product(total, next), one) ??
    newSize(step.value, axis);
  return ofShape([size(sizes.slice(0, end), 0), size(sizes.slice(end), 1)]);
};

const transpose: Rule = (step) => {
  const { sizes } = step.input(0);
  const perm = attributeOf(step.node, 'perm')?.ints ?? sizes?.map((_, axis) => sizes.length - 1 - axis);
  if (sizes === null || perm?.length !== sizes.length) return unknownValue;
  return ofShape(perm.map((axis) => sizes[axis] ?? newSize(step.value, axis)));
};

const matMul: Rule = (step) => {
  const [first, second] = [step.input(0).sizes, step.input(1).sizes];
  if (first === null || second === null || first.length < 2 || second.length < 2) return unknownValue;
  const outer = broadcast(first.slice(0, -2), second.slice(0, -2)) ?? [];
  return ofShape([...outer, first.at(-2)!, second.at(-1)!]);
};

/** Einsum of two operands. */
const einsum: Rule = (step) => {
  const parts = /^([a-z]*),([a-z]*)->([a-z]*)$/i.exec(einsumEquation(step.node));
  const [first, second] = [step.input(0).sizes, step.input(1).sizes];
  if (parts === null || first === null || second === null) return unknownValue;
  const [, letters, others, result] = parts as unknown as [string, string, string, string];
  const sizeOfAxis = (letter: string, axis: number) =>
    first[letters.indexOf(letter)] ?? second[others.indexOf(letter)] ?? newSize(step.value, axis);
  return ofShape([...result].map(sizeOfAxis));
};

/** The result has the rows of the query and the channels of the value. */
const attention: Rule = (step) => {
  const [query, value] = [step.input(0).sizes, step.input(2).sizes];
  if (query === null || value?.length !== query.length) return unknownValue;
  return ofShape([...query.slice(0, -1), value.at(-1)!]);
};

const constantOfShape: Rule = (step) => {
  const { elements } = step.input(0);
  return ofShape(elements?.map((size, axis) => size ?? newSize(step.value, axis)) ?? null);
};

/** com.microsoft's FusedMatMul, whose attributes may transpose the operands. */
const fusedMatMul: Rule = (step) => {
  const { sizes } = matMul(step);
  if (integerAttribute(step.node, 'transB', 0) === 0 || sizes === null) return ofShape(sizes);
  return ofShape([...sizes.slice(0, -1), step.input(1).sizes!.at(-2)!]);
};

const gemm: Rule = (step) => {
  const [first, second] = [step.input(0).sizes, step.input(1).sizes];
  if (first?.length !== 2 || second?.length !== 2) return unknownValue;
  const row = first[integerAttribute(step.node, 'transA', 0) === 0 ? 0 : 1]!;
  const column = second[integerAttribute(step.node, 'transB', 0) === 0 ? 1 : 0]!;
  return ofShape([row, column]);
};

const expand: Rule = (step) => {
  const target = step.input(1).elements?.map((size, axis) => size ?? newSize(step.value, axis)) ?? null;
  return ofShape(broadcast(step.input(0).sizes, target));
};

const where: Rule = (step) => {
  const [condition, yes, no] = [step.input(0), step.input(1), step.input(2)];
  const sizes = broadcast(condition.sizes, broadcast(yes.sizes, no.sizes));
  const lists = [condition.elements, yes.elements, no.elements];
  if (!isList(sizes) || lists.some((list) => list === null)) return ofShape(sizes);
  const length = Math.max(...lists.map((list) => list!.length));
  const at = (list: Elements, index: number) => list[list.length === 1 ? 0 : index] ?? null;
  const elements = Array.from({ length }, (_, index) => {
    const [chosen, first, second] = lists.map((list) => at(list!, index)) as [Size, Size, Size];
    const value = chosen === null ? null : valueOf(chosen);
    return value === null ? null : value === 0 ? second : first;
  });
  return { sizes, elements, isInteger: yes.isInteger && no.isInteger };
};
type Size = SymbolicSize | null;

/** A size that is known only at run time differs from negative numbers. */
const equal: Arithmetic = (first, second) => {
  const [here, there] = [valueOf(first), valueOf(second)];
  if (here !== null && there !== null) return known(here === there ? 1 : 0);
  return Math.min(here ?? 0, there ?? 0) < 0 ? known(0) : null;
};

const rules = new Map<string, Rule>([
  ['Add', combine(numeric((first, second) => first + second))],
  ['Sub', combine(numeric((first, second) => first - second))],
  ['Mul', combine(product)],
  ['Div', combine(divide)],
  ['Pow', combine(numeric((first, second) => first ** second))],
  ['Sqrt', map(Math.sqrt)],
  ['Reciprocal', map((value) => 1 / value)],
  ['Neg', map((value) => -value)],
  ['Floor', map(Math.floor)],
  ['Identity', keepAll],
  ['Cast', cast],
  ['Shape', shape],
  ['Gather', gather],
  ['Slice', slice],
  ['Concat', concat],
  ['Reshape', reshape],
  ['Unsqueeze', unsqueeze],
  ['Squeeze', squeeze],
  ['Flatten', flatten],
  ['Transpose', transpose],
  ['MatMul', matMul],
  ['FusedMatMul', fusedMatMul],
  ['Gemm', gemm],
  ['Einsum', einsum],
  ['Attention', attention],
  ['MultiHeadAttention', attention],
  ['ConstantOfShape', constantOfShape],
  ['Expand', expand],
  ['Where', where],
  ['Equal', combine(equal)],
  ...['Less', 'LessOrEqual', 'Greater', 'GreaterOrEqual', 'And', 'Or', 'Min', 'Max'].map(
    (name): [string, Rule] => [name, combine(() => null)],
  ),
  ...layerRules,
  ...[
    ...['Dropout', 'Softmax', 'LayerNormalization', 'GroupNormalization', 'InstanceNormalization'],
    ...[
      'RMSNormalization',
      'SimplifiedLayerNormalization',
      'Trilu',
      'Not',
      'IsNaN',
      'Sin',
      'Cos',
      'CumSum',
      'Softplus',
      'Relu',
      'Sigmoid',
      'Tanh',
      'Erf',
      'Gelu',
      'Exp',
      'Log',
      'Abs',
      'Clip',
    ],
  ].map((name): [string, Rule] => [name, keepShape]),
]);

/** Returns undefined for unknown operators. */
export function ruleOf(node: NodeProto): Rule | undefined {
  const isKnown =
    isStandard(node) ||
    ['FusedMatMul', 'MultiHeadAttention', 'SimplifiedLayerNormalization'].includes(node.opType);
  return isKnown ? rules.get(node.opType) : undefined;
}
