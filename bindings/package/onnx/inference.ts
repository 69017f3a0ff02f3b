// What can be said of each value of a graph before it runs: its shape, and the elements of small ones that shapes and
// scales are computed from.
import { known, unknown } from './amounts';
import type { Amount } from './amounts';
import { isIntegerType, mostElements, newSize, nothing, ofShape, Step } from './facts';
import type { Facts } from './facts';
import { ruleOf } from './inference_rules';
import type { TensorProto, ValueInfoProto } from './model';
import type { ModelGraph } from './model_graph';
import { elementCount, isReadable, readElements } from './tensors';

function factsOfTensor(tensor: TensorProto): Facts {
  const count = elementCount(tensor.dims);
  if (count === null) return nothing;
  const sizes = tensor.dims.map(known);
  const isInteger = isIntegerType(tensor.dataType);
  const isSmall = count <= mostElements && tensor.dims.length <= 1 && isReadable(tensor);
  const elements = isSmall ? Array.from(readElements(tensor), (element) => known(element)) : null;
  return { sizes, elements, isInteger };
}

function factsOfDeclaration({ name, type }: ValueInfoProto): Facts {
  const shape = type?.tensorType?.shape;
  if (shape === undefined) return nothing;
  const sizes = shape.dim.map(({ dimValue, dimParam }, axis) => {
    if (dimValue !== undefined && Number.isSafeInteger(dimValue) && dimValue >= 0) return known(dimValue);
    return dimParam === '' ? newSize(name, axis) : unknown(dimParam);
  });
  return { ...ofShape(sizes), isInteger: isIntegerType(type?.tensorType?.elemType) };
}

/** What no run could have is not believed, whatever the file says. */
function plausible(value: string, { sizes, elements, isInteger }: Facts): Facts {
  if (sizes === null || sizes.length > mostElements) return { ...nothing, isInteger };
  const isSize = ({ factor }: Amount) => Number.isSafeInteger(factor) && factor >= 0;
  return {
    sizes: sizes.map((size, axis) => (isSize(size) ? size : newSize(value, axis))),
    elements,
    isInteger,
  };
}

/** What is known of each value; `declared`: what the file says of some. */
export function inferFacts(graph: ModelGraph, declared: readonly ValueInfoProto[]): Map<string, Facts> {
  const facts = new Map<string, Facts>();
  const add = (value: string, found: Facts) => facts.set(value, plausible(value, found));
  const declarations = new Map(declared.map((declaration) => [declaration.name, declaration]));
  for (const [name, declaration] of graph.inputs) add(name, factsOfDeclaration(declaration));
  for (const [name, tensor] of graph.constants) add(name, factsOfTensor(tensor));
  for (const node of graph.nodes) {
    const value = node.output[0] ?? '';
    if (value === '' || facts.has(value)) continue;
    const found = ruleOf(node)?.(new Step(node, facts)) ?? nothing;
    const declaration = declarations.get(value);
    add(value, found.sizes === null && declaration ? factsOfDeclaration(declaration) : found);
  }
  return facts;
}
