// A model's graph with the producer and the consumers of each value.
import { show } from '../checks';
import { WeightsError } from '../errors';
import { makeTensor } from './model';
import type { AttributeProto, GraphProto, NodeProto, OperatorSetIdProto } from './model';
import type { TensorProto, ValueInfoProto } from './model';
import { dataTypes } from './tensors';

/** Formats a node for an error message. */
export function describeNode(node: NodeProto): string {
  const name = node.name === '' ? `with output ${show(node.output[0] ?? '')}` : show(node.name);
  return `node ${name} of type ${show(node.opType)}`;
}

/** Throws WeightsError that names the node. `problem` is the predicate of the message. */
export function refuse(node: NodeProto, problem: string): never {
  throw new WeightsError(`${describeNode(node)} ${problem}`);
}

/** Limits searches. It exceeds the number of nodes between an attention and its projections. */
export const maxSteps = 64;

/** True for ONNX's standard operators. */
export const isStandard = ({ domain }: { readonly domain: string }): boolean =>
  domain === '' || domain === 'ai.onnx';

export const attributeOf = (node: NodeProto, name: string): AttributeProto | undefined =>
  node.attribute.find((attribute) => attribute.name === name);

export const integerAttribute = (node: NodeProto, name: string, otherwise: number): number =>
  attributeOf(node, name)?.i ?? otherwise;

export const floatAttribute = (node: NodeProto, name: string, otherwise: number): number =>
  attributeOf(node, name)?.f ?? otherwise;

/**
 * Returns an Einsum's equation without spaces; empty for other nodes and for equations that are too long for
 * attention.
 */
export function einsumEquation(node: NodeProto): string {
  const text = node.opType === 'Einsum' ? attributeOf(node, 'equation')?.s : undefined;
  return text === undefined || text.length > 64 ? '' : String.fromCharCode(...text).replaceAll(' ', '');
}

/** Returns the tensor of a Constant node; null if it has no tensor of numbers. */
function constantTensor(node: NodeProto): TensorProto | null {
  const name = node.output[0] ?? '';
  for (const attribute of node.attribute) {
    const { t, f, i, floats, ints } = attribute;
    switch (attribute.name) {
      case 'value':
        if (t !== undefined) t.name ||= name;
        return t ?? null;
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

/** True for arithmetic of operator sets before 7, which broadcasts only as its attributes say. */
export const hasOldBroadcast = (node: NodeProto): boolean =>
  attributeOf(node, 'broadcast') !== undefined || attributeOf(node, 'axis') !== undefined;

/**
 * The nodes of a graph without its Identity nodes: the inputs of the others are the values that those copy.
 * Thus chains of any length cost nothing later.
 */
export class ModelGraph {
  /** Sorted topologically. */
  readonly nodes: readonly NodeProto[];
  /** Initializers and the tensors of Constant nodes by name. */
  readonly constants: ReadonlyMap<string, TensorProto>;
  /** The graph's inputs by name, without those that have an initializer. */
  readonly inputs: ReadonlyMap<string, ValueInfoProto>;
  /** Version of the standard operators; 0 if the file has none. */
  readonly operatorSet: number;
  readonly #producers = new Map<string, NodeProto>();
  readonly #consumers = new Map<string, NodeProto[]>();

  /**
   * Throws WeightsError that names the node if a value has several producers or none, or depends on itself.
   */
  constructor(graph: GraphProto, operatorSets: readonly OperatorSetIdProto[]) {
    this.operatorSet = operatorSets.find(isStandard)?.version ?? 0;
    const constants = new Map<string, TensorProto>();
    for (const tensor of graph.initializer) {
      if (constants.has(tensor.name)) {
        throw new WeightsError(`initializer ${show(tensor.name)} exists twice`);
      }
      constants.set(tensor.name, tensor);
    }
    const inputs = graph.input.filter(({ name }) => !constants.has(name));
    this.inputs = new Map(inputs.map((input) => [input.name, input]));
    for (const node of graph.node) {
      for (const value of node.output) {
        if (value === '') continue;
        if (this.#producers.has(value) || constants.has(value) || this.inputs.has(value)) {
          refuse(node, `has the output ${show(value)}, which already exists`);
        }
        this.#producers.set(value, node);
      }
      const constant = node.opType === 'Constant' && isStandard(node) ? constantTensor(node) : null;
      if (constant !== null && node.output.length === 1) constants.set(node.output[0]!, constant);
      this.#addConsumer(node);
    }
    this.constants = constants;
    this.nodes = this.#withoutCopies(this.#sort(graph.node));
  }

  #addConsumer(node: NodeProto): void {
    for (const value of new Set(node.input)) {
      const consumers = this.#consumers.get(value);
      if (consumers === undefined) this.#consumers.set(value, [node]);
      else consumers.push(node);
    }
  }

  /** Returns the sorted nodes without Identity nodes, and registers them. */
  #withoutCopies(sorted: readonly NodeProto[]): NodeProto[] {
    const sources = new Map<string, string>();
    const nodes: NodeProto[] = [];
    this.#producers.clear();
    this.#consumers.clear();
    for (const node of sorted) {
      const input = node.input.map((value) => sources.get(value) ?? value);
      if (node.opType === 'Identity' && isStandard(node) && input.length === 1 && node.output.length === 1) {
        sources.set(node.output[0]!, input[0]!);
        continue;
      }
      const direct = { ...node, input };
      nodes.push(direct);
      for (const value of node.output) this.#producers.set(value, direct);
      this.#addConsumer(direct);
    }
    return nodes;
  }

  /** Returns the node that computes a value; undefined for inputs and initializers. */
  producer(value: string): NodeProto | undefined {
    return this.#producers.get(value);
  }

  /** Returns the nodes that use a value, each once. */
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
          refuse(
            node,
            `has the input ${show(value)}; expected an initializer, a graph input or a node output`,
          );
        }
      }
      missing.set(node, count);
      if (count === 0) ready.push(node);
    }
    // The list grows during the iteration.
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
    if (waiting !== undefined) refuse(waiting, 'is part of a cycle, or depends on one');
    return ready;
  }
}
