// A model's graph, ready to be walked: who makes a value and who takes it.
import { WeightsError } from '../errors';
import { makeTensor, showName } from './model';
import type { AttributeProto, GraphProto, NodeProto, TensorProto, ValueInfoProto } from './model';
import { dataTypes } from './tensors';

/** A node as an error message names it. */
export function describeNode(node: NodeProto): string {
  const name = node.name === '' ? `that makes ${showName(node.output[0] ?? '')}` : showName(node.name);
  return `node ${name} of type ${showName(node.opType)}`;
}

/** Reports what cannot be taken, naming the node. */
export function refuse(node: NodeProto, what: string): never {
  throw new WeightsError(`${describeNode(node)} ${what}`);
}

/** More nodes than lie between an attention and its projections: a file may hold any number of them in a row. */
export const mostSteps = 64;

/** Whether it is one of ONNX's own operators. */
export const isStandard = (node: NodeProto): boolean => node.domain === '' || node.domain === 'ai.onnx';

export const attributeOf = (node: NodeProto, name: string): AttributeProto | undefined =>
  node.attribute.find((attribute) => attribute.name === name);

export const integerAttribute = (node: NodeProto, name: string, otherwise: number): number =>
  attributeOf(node, name)?.i ?? otherwise;

export const floatAttribute = (node: NodeProto, name: string, otherwise: number): number =>
  attributeOf(node, name)?.f ?? otherwise;

/** An Einsum's equation without spaces; empty for other nodes, and for longer ones than attention has. */
export function einsumEquation(node: NodeProto): string {
  const text = node.opType === 'Einsum' ? attributeOf(node, 'equation')?.s : undefined;
  return text === undefined || text.length > 64 ? '' : String.fromCharCode(...text).replaceAll(' ', '');
}

/** What a Constant node makes; null where it is no tensor of numbers. */
function constantTensor(node: NodeProto): TensorProto | null {
  const name = node.output[0] ?? '';
  for (const attribute of node.attribute) {
    const { t, f, i, floats, ints } = attribute;
    switch (attribute.name) {
      case 'value':
        return t === undefined ? null : { ...t, name: t.name || name };
      case 'value_float':
        return makeTensor({ name, dataType: dataTypes.float, floatData: [f ?? 0] });
      case 'value_int':
        return makeTensor({ name, dataType: dataTypes.int64, int64Data: [i ?? 0] });
      case 'value_floats':
        return makeTensor({ name, dims: [floats.length], dataType: dataTypes.float, floatData: floats });
      case 'value_ints':
        return makeTensor({ name, dims: [ints.length], dataType: dataTypes.int64, int64Data: ints });
    }
  }
  return null;
}

export class ModelGraph {
  /** In an order in which each follows those whose values it takes. */
  readonly nodes: readonly NodeProto[];
  /** Initializers and what Constant nodes hold, by the names of the values. */
  readonly constants: ReadonlyMap<string, TensorProto>;
  /** The graph's inputs, but for those that have an initializer. */
  readonly inputs: ReadonlyMap<string, ValueInfoProto>;
  readonly #producers = new Map<string, NodeProto>();
  readonly #consumers = new Map<string, NodeProto[]>();

  /**
   * Throws WeightsError naming the node where a value is made twice or by nobody, or depends on itself.
   */
  constructor(graph: GraphProto) {
    const constants = new Map<string, TensorProto>();
    for (const tensor of graph.initializer) {
      if (constants.has(tensor.name)) {
        throw new WeightsError(`initializer ${showName(tensor.name)} is there twice`);
      }
      constants.set(tensor.name, tensor);
    }
    const inputs = graph.input.filter(({ name }) => !constants.has(name));
    this.inputs = new Map(inputs.map((input) => [input.name, input]));
    for (const node of graph.node) {
      for (const value of node.output) {
        if (value === '') continue;
        if (this.#producers.has(value) || constants.has(value) || this.inputs.has(value)) {
          throw new WeightsError(`${describeNode(node)} makes ${showName(value)}, which is there already`);
        }
        this.#producers.set(value, node);
      }
      const constant = node.opType === 'Constant' && isStandard(node) ? constantTensor(node) : null;
      if (constant !== null && node.output.length === 1) constants.set(node.output[0]!, constant);
      for (const value of new Set(node.input)) {
        const consumers = this.#consumers.get(value);
        if (consumers === undefined) this.#consumers.set(value, [node]);
        else consumers.push(node);
      }
    }
    this.constants = constants;
    this.nodes = this.#sort(graph.node);
  }

  /** The node that makes a value; undefined for inputs and initializers. */
  producer(value: string): NodeProto | undefined {
    return this.#producers.get(value);
  }

  /** The nodes that take a value, each once. */
  consumers(value: string): readonly NodeProto[] {
    return value === '' ? [] : (this.#consumers.get(value) ?? []);
  }

  #sort(nodes: readonly NodeProto[]): NodeProto[] {
    const missing = new Map<NodeProto, number>();
    const ready: NodeProto[] = [];
    for (const node of nodes) {
      const values = new Set(node.input.filter((value) => value !== ''));
      let count = 0;
      for (const value of values) {
        if (this.#producers.has(value)) ++count;
        else if (!this.constants.has(value) && !this.inputs.has(value)) {
          throw new WeightsError(
            `${describeNode(node)} takes ${showName(value)}, which is no initializer, input or output of a node`,
          );
        }
      }
      missing.set(node, count);
      if (count === 0) ready.push(node);
    }
    // The list grows while it is walked.
    for (const node of ready) {
      for (const value of node.output) {
        for (const consumer of this.consumers(value)) {
          const count = missing.get(consumer)! - 1;
          missing.set(consumer, count);
          if (count === 0) ready.push(consumer);
        }
      }
    }
    const waiting = nodes.find((node) => missing.get(node)! > 0);
    if (waiting !== undefined) {
      throw new WeightsError(`${describeNode(waiting)} takes values that depend on its own: a cycle`);
    }
    return ready;
  }
}
