// Shape inference: the shape of each value of a graph before it runs, and the elements of small values, from
// which shapes and scales are computed.
import { known, symbol } from './symbolic_size';
import type { SymbolicSize } from './symbolic_size';
import { isIntegerType, maxElements, newSize, unknownValue, ofShape, Step } from './inferred_value';
import type { InferredValue } from './inferred_value';
import { ruleOf } from './shape_inference_rules';
import type { TensorProto, ValueInfoProto } from './model';
import type { ModelGraph } from './model_graph';
import { WeightsError } from '../errors';
import { elementCount, externalProblems, readElements } from './tensor_elements';

function valueOfTensor(tensor: TensorProto, unreadable: string[]): InferredValue {
  const count = elementCount(tensor.dims);
  if (count === null) return unknownValue;
  const sizes = tensor.dims.map(known);
  const isInteger = isIntegerType(tensor.dataType);
  const isSmall = count <= maxElements && tensor.dims.length <= 1;
  return { sizes, elements: isSmall ? smallElements(tensor, unreadable) : null, isInteger };
}

/**
 * Returns null for invalid data, and adds the reason if they are outside the file: only a tensor that is
 * used must be valid.
 */
function smallElements(tensor: TensorProto, unreadable: string[]): SymbolicSize[] | null {
  try {
    return Array.from(readElements(tensor), (element) => known(element));
  } catch (error) {
    if (!(error instanceof WeightsError)) throw error;
    if (externalProblems.has(tensor) && unreadable.length === 0) unreadable.push(error.message);
    return null;
  }
}

function valueOfDeclaration({ name, type }: ValueInfoProto): InferredValue {
  const shape = type?.tensorType?.shape;
  if (shape === undefined) return unknownValue;
  const sizes = shape.dim.map(({ dimValue, dimParam }, axis) => {
    if (dimValue !== undefined && Number.isSafeInteger(dimValue) && dimValue >= 0) return known(dimValue);
    return dimParam === '' ? newSize(name, axis) : symbol(dimParam);
  });
  return { ...ofShape(sizes), isInteger: isIntegerType(type?.tensorType?.elemType) };
}

/** Replaces shapes that are not possible by unknown ones: the file is not trusted. */
function plausible(value: string, { sizes, elements, isInteger }: InferredValue): InferredValue {
  if (sizes === null || sizes.length > maxElements) return { ...unknownValue, isInteger };
  const isSize = ({ factor }: SymbolicSize) => Number.isSafeInteger(factor) && factor >= 0;
  return {
    sizes: sizes.map((size, axis) => (isSize(size) ? size : newSize(value, axis))),
    elements,
    isInteger,
  };
}

/**
 * Returns what is known of each value by name. `declared` are the shapes that the file declares. Adds to
 * `unreadable` why a small tensor, which may be a shape, cannot be read.
 */
export function inferValues(
  graph: ModelGraph,
  declared: readonly ValueInfoProto[],
  unreadable: string[],
): Map<string, InferredValue> {
  const inferred = new Map<string, InferredValue>();
  const add = (value: string, found: InferredValue) => inferred.set(value, plausible(value, found));
  const declarations = new Map(declared.map((declaration) => [declaration.name, declaration]));
  for (const [name, declaration] of graph.inputs) add(name, valueOfDeclaration(declaration));
  for (const [name, tensor] of graph.constants) add(name, valueOfTensor(tensor, unreadable));
  for (const node of graph.nodes) {
    for (const value of node.output) {
      if (value === '' || inferred.has(value)) continue;
      // Of other outputs, such as the mean of a normalization, nothing is known.
      const rule = value === node.output[0] || node.opType === 'Split' ? ruleOf(node) : undefined;
      const found = rule?.(new Step(node, value, inferred)) ?? unknownValue;
      const declaration = declarations.get(value);
      add(value, found.sizes === null && declaration ? valueOfDeclaration(declaration) : found);
    }
  }
  return inferred;
}
