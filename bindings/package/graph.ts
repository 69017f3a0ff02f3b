import { checkArray, checkBoolean, checkString, fail, read, readOptions } from './checks';
import type { CoreGraphNodes, DType, TypedArray } from './core';
import { ArgumentError } from './errors';
import { Owned } from './handles';
import { failInstance, guardMethods, internal, requireInternal } from './instances';

/** A node's graph in the core and its index there. */
export interface NodeOrigin {
  nodes: CoreGraphNodes;
  index: number;
}

/**
 * The core's nodes of one graph. They are freed after the last ComputationNode that refers to them was
 * collected.
 */
class GraphNodes {
  readonly #owned: Owned<CoreGraphNodes>;

  constructor(handle: CoreGraphNodes) {
    this.#owned = new Owned(this, handle);
  }
  get handle(): CoreGraphNodes {
    return this.#owned.get('this graph');
  }
}

/**
 * A node of a computation graph, which computes one value. Immutable; needs no dispose: constants refer to
 * the parameters of their layer and are no copies.
 */
export class ComputationNode {
  static readonly name = 'ComputationNode';

  /** ONNX operator name: 'MatMul', 'Softmax', 'Transpose', …; or 'Input', 'Constant'. */
  readonly op: string;
  readonly name: string;
  readonly inputs: readonly ComputationNode[];
  /** Sizes that are known only at run time are names: 'batch', 'tokens', 'contextLength'. */
  readonly shape: readonly (number | string)[];
  /**
   * `perm` of a Transpose; `shape` of a Reshape (0: the input's dimension, -1: inferred); `axis` of a
   * Softmax; `broadcast` of an Input whose dimensions may be 1.
   */
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly dtype: DType;
  readonly #nodes: GraphNodes;
  readonly #index: number;

  static {
    guardMethods(this, (value) => #nodes in value);
  }

  private constructor(
    token: typeof internal,
    nodes: GraphNodes,
    index: number,
    inputs: readonly ComputationNode[],
  ) {
    requireInternal(token, 'ComputationNode', 'exportComputationGraph');
    const [op, name, dtype, broadcasts, , list, shape] = nodes.handle.describe(index);
    this.op = op;
    this.name = name;
    this.dtype = dtype;
    this.shape = Object.freeze(shape);
    this.inputs = Object.freeze([...inputs]);
    this.attributes = Object.freeze(attributesOf(op, list, broadcasts));
    this.#nodes = nodes;
    this.#index = index;
    Object.freeze(this);
  }

  /** @internal */
  static wrap(nodes: GraphNodes, index: number, inputs: readonly ComputationNode[]): ComputationNode {
    return new ComputationNode(internal, nodes, index, inputs);
  }

  /** @internal True for a node of this copy of the package, false for a proxy of one. */
  static isNode(value: unknown): value is ComputationNode {
    return typeof value === 'object' && value !== null && #nodes in value;
  }

  /** @internal */
  get origin(): NodeOrigin {
    return { nodes: this.#nodes.handle, index: this.#index };
  }

  /**
   * "cross_attention.scores [batch, 8, tokens, contextLength] = Mul(cross_attention.products,
   * cross_attention.scale)"
   */
  toString(): string {
    const inputs = this.inputs.map(({ name }) => name).join(', ');
    return `${this.name} [${this.shape.join(', ')}] = ${this.op}(${inputs})`;
  }
}

function attributesOf(op: string, list: number[], broadcasts: boolean): Record<string, unknown> {
  if (op === 'Transpose') return { perm: Object.freeze(list) };
  if (op === 'Reshape') return { shape: Object.freeze(list) };
  if (op === 'Softmax') return { axis: list[0] };
  if (op === 'ReduceMean') return { axes: Object.freeze(list) };
  return broadcasts ? { broadcast: true } : {};
}

/** Returns an argument that is a ComputationNode; throws ArgumentError for anything else. */
export function checkNode(argument: string, node: unknown): ComputationNode {
  if (!ComputationNode.isNode(node)) failInstance(argument, node, ComputationNode);
  return node;
}

/**
 * Returns an `output` argument, a node or a list of one or more, as a list. Throws ArgumentError for anything
 * else.
 */
export function checkOutputs(output: unknown): ComputationNode[] {
  if (!read('output', () => Array.isArray(output))) return [checkNode('output', output)];
  const outputs = checkArray('output', output, 'a ComputationNode or a list of one or more');
  if (outputs.length === 0) fail('output', output, 'a ComputationNode or a list of one or more');
  return outputs.map((node, index) => checkNode(`output[${index}]`, node));
}

/**
 * Returns a copy of a Constant's elements, row by row. Throws ArgumentError that names the node if its layer
 * was disposed.
 */
export function constantData(node: ComputationNode): TypedArray {
  const { nodes, index } = node.origin;
  const view = nodes.view(index);
  if (view === undefined) {
    throw new ArgumentError(`node '${node.name}' belongs to a layer that was disposed`);
  }
  return view.slice();
}

export interface GraphOptions {
  /** Prefix of the names of all nodes except the inputs. Default 'cross_attention'. */
  name?: string;
  /**
   * Adds a third input, 'mask', which is added to the scores: [batch, heads, tokens, contextLength], the
   * first three of which may be 1. Default false.
   */
  mask?: boolean;
}

export function checkGraphOptions(options: GraphOptions | undefined): Required<GraphOptions> {
  const { name = 'cross_attention', mask = false } = readOptions('options', options, ['name', 'mask']);
  return { name: checkString('options.name', name), mask: checkBoolean('options.mask', mask) };
}

/** Returns the nodes of an exported graph. `shared`: nodes of another graph that are among its inputs. */
export function wrapNodes(handle: CoreGraphNodes, shared: readonly ComputationNode[]): ComputationNode[] {
  const nodes = new GraphNodes(handle);
  const wrapped: ComputationNode[] = [];
  for (let index = 0; index < handle.size(); ++index) {
    const [op, name, , , inputIndices] = handle.describe(index);
    const same = shared.find((node) => op === 'Input' && name === node.name);
    const inputs = inputIndices.map((input) => wrapped[input]!);
    wrapped.push(same ?? ComputationNode.wrap(nodes, index, inputs));
  }
  return wrapped;
}
