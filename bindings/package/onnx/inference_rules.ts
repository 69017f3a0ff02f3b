// For each operator, what its inputs say of its result: its shape, and the elements where those are few.
import { isOne, known, one, product, quotient, valueOf, wholeQuotient } from './amounts';
import type { Amount } from './amounts';
import { isIntegerType, mostElements, newSize, nothing, ofElements, ofShape } from './facts';
import type { Elements, Facts, Sizes, Step } from './facts';
import { attributeOf, einsumEquation, integerAttribute, isStandard } from './model_graph';
import type { NodeProto } from './model';

export type Rule = (step: Step) => Facts;

const keepShape: Rule = (step) => ({ ...nothing, sizes: step.input(0).sizes });
const keepAll: Rule = (step) => step.input(0);

/** The shape of two shapes' elements taken together, as NumPy does. One that is not known is taken to fit the other. */
function broadcast(first: Sizes | null, second: Sizes | null): Sizes | null {
  if (first === null || second === null) return first ?? second;
  const rank = Math.max(first.length, second.length);
  const at = (sizes: Sizes, axis: number) => sizes[axis - rank + sizes.length] ?? one;
  return Array.from({ length: rank }, (_, axis) => {
    const [here, there] = [at(first, axis), at(second, axis)];
    if (isOne(here)) return there;
    // Of two that are not the same a run could only have one: the one that is a number, if any.
    return valueOf(there) !== null && !isOne(there) ? there : here;
  });
}

const isList = (sizes: Sizes | null): boolean => sizes !== null && sizes.length <= 1;

type Arithmetic = (first: Amount, second: Amount, isInteger: boolean) => Amount | null;

/** Numbers of numbers. */
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
  return result.unknowns.length === 0 ? known(Math.trunc(result.factor)) : null;
};

/** Two inputs, element by element. */
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

/** One input, element by element. */
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

const fromTo = (length: number, start: number, end: number): [number, number] => {
  const place = (index: number) => Math.min(Math.max(index < 0 ? index + length : index, 0), length);
  return [place(start), place(end)];
};

const shape: Rule = (step) => {
  const { sizes } = step.input(0);
  if (sizes === null) return { ...nothing, isInteger: true };
  const { node } = step;
  const start = integerAttribute(node, 'start', 0);
  return ofElements(
    sizes.slice(...fromTo(sizes.length, start, integerAttribute(node, 'end', sizes.length))),
    true,
  );
};

const gather: Rule = (step) => {
  const { elements, isInteger } = step.input(0);
  const indices = step.integers(1, '');
  const isScalar = step.input(1).sizes?.length === 0;
  if (elements === null || indices === null) {
    return { ...nothing, sizes: isList(step.input(0).sizes) ? step.input(1).sizes : null, isInteger };
  }
  const length = elements.length;
  return ofElements(
    indices.map((index) => elements[index < 0 ? index + length : index] ?? null),
    isInteger,
    isScalar,
  );
};

const slice: Rule = (step) => {
  const { elements, isInteger } = step.input(0);
  const starts = step.integers(1, 'starts');
  const ends = step.integers(2, 'ends');
  const steps = step.has(4) ? step.integers(4, '') : [1];
  const isPlain = starts?.length === 1 && ends?.length === 1 && steps?.length === 1 && steps[0] === 1;
  if (elements === null || !isPlain) {
    // Fewer elements, of as many dimensions.
    const sizes = step.input(0).sizes?.map((_, axis) => newSize(step.value, axis));
    return { ...nothing, sizes: sizes ?? null, isInteger };
  }
  return ofElements(elements.slice(...fromTo(elements.length, starts[0]!, ends[0]!)), isInteger);
};

const concat: Rule = (step) => {
  const inputs = step.node.input.map((_, index) => step.input(index));
  const first = inputs[0]?.sizes;
  if (!first || inputs.some(({ sizes }) => sizes?.length !== first.length)) return nothing;
  const isInteger = inputs.every((input) => input.isInteger);
  const lengths = inputs.map(({ sizes }) => valueOf(sizes![0] ?? one));
  const total = lengths.reduce((sum, length) => (sum === null || length === null ? null : sum + length), 0);
  if (first.length === 1 && total !== null && total <= mostElements) {
    const all = inputs.flatMap(
      ({ elements }, index) => elements ?? new Array<null>(lengths[index]!).fill(null),
    );
    return ofElements(all, isInteger);
  }
  const axis = integerAttribute(step.node, 'axis', 0);
  const joined = axis < 0 ? axis + first.length : axis;
  return ofShape(first.map((size, index) => (index === joined ? newSize(step.value, index) : size)));
};

/** The same elements under another shape. */
const reshape: Rule = (step) => {
  const { elements, isInteger, sizes } = step.input(0);
  const wanted = step.has(1) ? step.input(1) : null;
  const listed = attributeOf(step.node, 'shape')?.ints.map(known);
  const shape: Elements | null = wanted?.elements ?? listed ?? null;
  if (shape === null) {
    const rank = valueOf(wanted?.sizes?.[0] ?? newSize(step.value, 0));
    if (rank === null || rank > mostElements) return nothing;
    return ofShape(Array.from({ length: rank }, (_, axis) => newSize(step.value, axis)));
  }
  const keepsZeros = integerAttribute(step.node, 'allowzero', 0) === 1;
  const isFree = (size: Amount | null) => size !== null && valueOf(size) === -1;
  const fixed = shape.map((size, axis) => {
    if (size === null) return newSize(step.value, axis);
    if (valueOf(size) === 0 && !keepsZeros) return sizes?.[axis] ?? newSize(step.value, axis);
    return size;
  });
  const multiply = (total: Amount | null, size: Amount) => total && product(total, size);
  const total = sizes?.reduce<Amount | null>(multiply, one) ?? null;
  const others = fixed.filter((size) => !isFree(size)).reduce<Amount | null>(multiply, one);
  const rest = total && others && wholeQuotient(total, others);
  const result = fixed.map((size, axis) => (isFree(size) ? (rest ?? newSize(step.value, axis)) : size));
  return { sizes: result, elements: result.length <= 1 ? elements : null, isInteger };
};

const unsqueeze: Rule = (step) => {
  const { sizes, elements, isInteger } = step.input(0);
  const axes = step.integers(1, 'axes');
  if (sizes === null || axes === null || axes.length > mostElements) return nothing;
  const rank = sizes.length + axes.length;
  const added = new Set(axes.map((axis) => (axis < 0 ? axis + rank : axis)));
  const rest = [...sizes];
  const result = Array.from({ length: rank }, (_, axis) => (added.has(axis) ? one : (rest.shift() ?? one)));
  return { sizes: result, elements: result.length <= 1 ? elements : null, isInteger };
};

const squeeze: Rule = (step) => {
  const { sizes, elements, isInteger } = step.input(0);
  const axes = step.integers(1, 'axes');
  if (sizes === null || (step.has(1) && axes === null)) return nothing;
  const removed = new Set(axes?.map((axis) => (axis < 0 ? axis + sizes.length : axis)));
  const isRemoved = (size: Amount, axis: number) => (axes === null ? isOne(size) : removed.has(axis));
  return { sizes: sizes.filter((size, axis) => !isRemoved(size, axis)), elements, isInteger };
};

const flatten: Rule = (step) => {
  const { sizes } = step.input(0);
  if (sizes === null) return nothing;
  const [end] = fromTo(sizes.length, integerAttribute(step.node, 'axis', 1), 0);
  const size = (part: Sizes, axis: number) =>
    part.reduce<Amount | null>((total, next) => total && product(total, next), one) ??
    newSize(step.value, axis);
  return ofShape([size(sizes.slice(0, end), 0), size(sizes.slice(end), 1)]);
};

const transpose: Rule = (step) => {
  const { sizes } = step.input(0);
  const perm = attributeOf(step.node, 'perm')?.ints ?? sizes?.map((_, axis) => sizes.length - 1 - axis);
  if (sizes === null || perm?.length !== sizes.length) return nothing;
  return ofShape(perm.map((axis) => sizes[axis] ?? newSize(step.value, axis)));
};

const matMul: Rule = (step) => {
  const [first, second] = [step.input(0).sizes, step.input(1).sizes];
  if (first === null || second === null || first.length < 2 || second.length < 2) return nothing;
  const outer = broadcast(first.slice(0, -2), second.slice(0, -2)) ?? [];
  return ofShape([...outer, first.at(-2)!, second.at(-1)!]);
};

/** Of two operands whose axes have letters. */
const einsum: Rule = (step) => {
  const parts = /^([a-z]*),([a-z]*)->([a-z]*)$/i.exec(einsumEquation(step.node));
  const [first, second] = [step.input(0).sizes, step.input(1).sizes];
  if (parts === null || first === null || second === null) return nothing;
  const [, letters, others, result] = parts as unknown as [string, string, string, string];
  const sizeOf = (letter: string, axis: number) =>
    first[letters.indexOf(letter)] ?? second[others.indexOf(letter)] ?? newSize(step.value, axis);
  return ofShape([...result].map(sizeOf));
};

/** The queries' rows with the values' channels. */
const attention: Rule = (step) => {
  const [query, value] = [step.input(0).sizes, step.input(2).sizes];
  return query && value?.length === query.length ? ofShape([...query.slice(0, -1), value.at(-1)!]) : nothing;
};

const constantOfShape: Rule = (step) => {
  const { elements } = step.input(0);
  return ofShape(elements?.map((size, axis) => size ?? newSize(step.value, axis)) ?? null);
};

/** com.microsoft's, with attributes that transpose. */
const fusedMatMul: Rule = (step) => {
  const { sizes } = matMul(step);
  if (integerAttribute(step.node, 'transB', 0) === 0 || sizes === null) return ofShape(sizes);
  return ofShape([...sizes.slice(0, -1), step.input(1).sizes!.at(-2)!]);
};

const gemm: Rule = (step) => {
  const [first, second] = [step.input(0).sizes, step.input(1).sizes];
  if (first?.length !== 2 || second?.length !== 2) return nothing;
  const row = first[integerAttribute(step.node, 'transA', 0) === 0 ? 0 : 1]!;
  const column = second[integerAttribute(step.node, 'transB', 0) === 0 ? 1 : 0]!;
  return ofShape([row, column]);
};

const expand: Rule = (step) => {
  const wanted = step.input(1).elements;
  return ofShape(
    broadcast(step.input(0).sizes, wanted?.map((size, axis) => size ?? newSize(step.value, axis)) ?? null),
  );
};

const where: Rule = (step) =>
  ofShape(broadcast(step.input(0).sizes, broadcast(step.input(1).sizes, step.input(2).sizes)));

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
  ['ConstantOfShape', constantOfShape],
  ['Expand', expand],
  ['Where', where],
  ...[
    ...['Dropout', 'Softmax', 'LayerNormalization', 'GroupNormalization', 'InstanceNormalization'],
    ...['RMSNormalization', 'Relu', 'Sigmoid', 'Tanh', 'Erf', 'Gelu', 'Exp', 'Log', 'Abs', 'Clip'],
  ].map((name): [string, Rule] => [name, keepShape]),
]);

/** Undefined for operators of which nothing is known. */
export function ruleOf(node: NodeProto): Rule | undefined {
  const isKnown = isStandard(node) || node.opType === 'FusedMatMul';
  return isKnown ? rules.get(node.opType) : undefined;
}
