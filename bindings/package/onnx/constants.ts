// Values of a graph that do not depend on its inputs, computed on demand.
import { valueOf } from './symbolic_size';
import type { ConstantArray } from './constant_arrays';
import { arrayOf, constantOperator, ConstantStep } from './constant_operators';
import type { InferredValue } from './inferred_value';
import type { NodeProto, TensorProto } from './model';
import { attributeOf, integerAttribute, isStandard, maxSteps, refuse } from './model_graph';
import type { ModelGraph } from './model_graph';
import { elementCount, readElements } from './tensor_elements';
import type { Elements } from './tensor_elements';
import { dataTypes } from './tensors';

/** Computing all constants may cost so many elements, besides some for each element that the file stores. */
const baseBudget = 2 ** 27;
const budgetPerElement = 16;
/** Larger results are not saved: they are weights, which are read once. */
const maxSaved = 2 ** 22;

/** Operators that return elements of their first input, at other positions. */
const movers = new Set([
  'Reshape',
  'Unsqueeze',
  'Squeeze',
  'Flatten',
  'Transpose',
  'Expand',
  'Tile',
  'Slice',
  'Gather',
  'Split',
]);

export class Constants {
  readonly #graph: ModelGraph;
  readonly #inferred: ReadonlyMap<string, InferredValue>;
  /** Results of nodes whose inputs are constants. */
  readonly #computable = new Set<string>();
  readonly #saved = new Map<string, ConstantArray>();
  readonly #uniform = new Map<string, number | null>();
  #budget = baseBudget;

  constructor(graph: ModelGraph, inferred: ReadonlyMap<string, InferredValue>) {
    this.#graph = graph;
    this.#inferred = inferred;
    for (const tensor of graph.constants.values()) {
      this.#budget += budgetPerElement * (elementCount(tensor.dims) ?? 0);
    }
    for (const node of graph.nodes) {
      const isComputable =
        constantOperator(node) !== undefined &&
        node.input.length > 0 &&
        node.input.every((value) => value === '' || this.has(value));
      if (isComputable) for (const value of node.output) this.#computable.add(value);
    }
  }

  /** True if a value does not depend on the model's inputs. Its data may be invalid. */
  has(value: string): boolean {
    return (
      this.#graph.constants.has(value) ||
      this.#computable.has(value) ||
      this.#inferredElements(value) !== null
    );
  }

  /** Throws WeightsError if the value cannot be computed. `has(value)` must be true. */
  read(value: string): ConstantArray {
    const results = new Map<string, ConstantArray>();
    const waiting = [value];
    for (let top = waiting.at(-1); top !== undefined; top = waiting.at(-1)) {
      if (results.has(top)) {
        waiting.pop();
        continue;
      }
      const array = this.#leaf(top);
      const node = array === null ? this.#graph.producer(top)! : undefined;
      const missing = node?.input.filter((input) => input !== '' && !results.has(input)) ?? [];
      if (missing.length > 0) {
        waiting.push(...missing);
        continue;
      }
      const result = array ?? this.#compute(top, node!, results);
      results.set(top, result);
      if (result.elements.length <= maxSaved) this.#saved.set(top, result);
    }
    return results.get(value)!;
  }

  /** Returns the only number that all elements of a value have, whatever its shape; null if there is none. */
  uniform(value: string, depth = 0): number | null {
    const found = this.#uniform.get(value);
    if (found !== undefined || depth > maxSteps) return found ?? null;
    const result = this.#findUniform(value, depth + 1);
    this.#uniform.set(value, result);
    return result;
  }

  /** Returns the tensor of the file whose elements a value has, however converted; null if there is none. */
  origin(value: string): TensorProto | null {
    let name = value;
    for (let step = 0; step < maxSteps; ++step) {
      const tensor = this.#graph.constants.get(name);
      if (tensor !== undefined) return tensor;
      name = this.#graph.producer(name)?.input[0] ?? '';
    }
    return null;
  }

  /** Returns the TensorProto.DataType of a constant. */
  type(value: string): number {
    let name = value;
    for (let step = 0; step < maxSteps; ++step) {
      const node = this.#graph.constants.has(name) ? undefined : this.#graph.producer(name);
      if (node === undefined) break;
      const to = integerAttribute(node, node.opType === 'Cast' ? 'to' : 'output_dtype', 0);
      if (to !== 0) return to;
      name = node.input[node.opType === 'DequantizeLinear' || node.opType === 'Where' ? 1 : 0] ?? '';
    }
    return this.#graph.constants.get(name)?.dataType ?? 0;
  }

  #leaf(value: string): ConstantArray | null {
    const saved = this.#saved.get(value);
    if (saved !== undefined) return saved;
    const tensor = this.#graph.constants.get(value);
    if (tensor !== undefined) return arrayOf(tensor);
    return this.#computable.has(value) ? null : this.#inferredElements(value);
  }

  #compute(value: string, node: NodeProto, results: ReadonlyMap<string, ConstantArray>): ConstantArray {
    const inputs = node.input.map((input) => (input === '' ? null : results.get(input)!));
    const reserve = (size: number) => {
      this.#budget -= size;
      if (!(this.#budget >= 0)) refuse(node, 'computes too large a constant');
    };
    return constantOperator(node)!(new ConstantStep(node, value, inputs, reserve));
  }

  /** Returns a value that shape inference knows. */
  #inferredElements(value: string): ConstantArray | null {
    const found = this.#inferred.get(value);
    const elements = found?.elements?.map((element) => (element === null ? null : valueOf(element)));
    if (!found?.sizes || !elements?.every((element) => element !== null)) return null;
    const dims = found.sizes.length === 0 ? [] : [elements.length];
    const type = found.isInteger ? dataTypes.int64 : dataTypes.double;
    return { dims, elements: Float64Array.from(elements as number[]), type };
  }

  #findUniform(value: string, depth: number): number | null {
    const elements = this.#inferredElements(value)?.elements;
    if (elements?.length === 1) return elements[0]!;
    const node = this.#graph.producer(value);
    const found = node !== undefined && isStandard(node) ? this.#uniformResult(value, node, depth) : null;
    return found ?? (this.has(value) ? sameElement(this.read(value).elements) : null);
  }

  /** Returns the only element of a node's result without computing the result, which may be large. */
  #uniformResult(value: string, node: NodeProto, depth: number): number | null {
    if (movers.has(node.opType)) return this.uniform(node.input[0] ?? '', depth);
    if (node.opType === 'ConstantOfShape') {
      const tensor = attributeOf(node, 'value')?.t;
      return tensor === undefined ? 0 : sameElement(readElements(tensor));
    }
    if (!elementwise.has(node.opType)) return null;
    const inputs = node.input.map((input) => this.uniform(input, depth));
    if (inputs.some((input) => input === null)) return null;
    const scalars = inputs.map((input) => ({
      dims: [],
      elements: Float64Array.of(input!),
      type: this.type(node.input[0] ?? '') || dataTypes.double,
    }));
    return constantOperator(node)!(new ConstantStep(node, value, scalars, () => {})).elements[0]!;
  }
}

/** Operators on each element, which return the same for all if their inputs have the same elements. */
const elementwise = new Set([
  'Cast',
  'Add',
  'Sub',
  'Mul',
  'Div',
  'Neg',
  'Sqrt',
  'Reciprocal',
  'Where',
  'Not',
  'Equal',
  'Min',
  'Max',
]);

function sameElement(elements: Elements): number | null {
  const first = elements[0];
  const isSame = (elements as Float64Array).every((value) => value === first);
  return first !== undefined && isSame ? first : null;
}
