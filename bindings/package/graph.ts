import { checkOptions, checkString, checkBoolean, fail } from './checks';
import type { CoreGraphNodes, DType, TypedArray } from './core';
import { ArgumentError } from './errors';
import { Owned } from './handles';

/** Where a node lies in the core. */
export interface NodeOrigin {
  nodes: CoreGraphNodes;
  place: number;
}

/** The core's nodes of one graph, which go with the last node that refers to them. */
class GraphNodes {
  readonly #owned: Owned<CoreGraphNodes>;

  constructor(handle: CoreGraphNodes) {
    this.#owned = new Owned(this, handle);
  }
  get handle(): CoreGraphNodes {
    return this.#owned.get('this graph');
  }
}

/** Lets other files of this package reach what users shall not see. */
let originOf: (node: ComputationNode) => NodeOrigin;
let make: (nodes: GraphNodes, place: number, inputs: readonly ComputationNode[]) => ComputationNode;

/**
 * A node of a computation graph and the one value that comes out of it. Never changes; needs no dispose: constants are
 * not copies but the parameters of their layer.
 */
export class ComputationNode {
  static readonly name = 'ComputationNode';

  /** ONNX operator names: 'MatMul', 'Softmax', 'Transpose', …; 'Input', 'Constant'. */
  readonly op: string;
  readonly name: string;
  readonly inputs: readonly ComputationNode[];
  /** Sizes known only at run time are names: 'batch', 'tokens', 'contextLength'. */
  readonly shape: readonly (number | string)[];
  /**
   * perm of a Transpose, shape of a Reshape (0: the input's dimension, -1: what is left), axis of a Softmax; broadcast of
   * an Input any of whose dimensions may be 1.
   */
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly dtype: DType;
  readonly #nodes: GraphNodes;
  readonly #place: number;

  static {
    originOf = (node) => ({ nodes: node.#nodes.handle, place: node.#place });
    make = (nodes, place, inputs) => new ComputationNode(nodes, place, inputs);
  }

  private constructor(nodes: GraphNodes, place: number, inputs: readonly ComputationNode[]) {
    // In JavaScript nothing is private: whoever calls it gets no half-made node.
    if (!(nodes instanceof GraphNodes)) {
      throw new ArgumentError('ComputationNode has no constructor to call; it takes exportComputationGraph');
    }
    const [op, name, dtype, broadcasts, , list, shape] = nodes.handle.describe(place);
    this.op = op;
    this.name = name;
    this.dtype = dtype;
    this.shape = Object.freeze(shape);
    this.inputs = Object.freeze([...inputs]);
    this.attributes = Object.freeze(attributesOf(op, list, broadcasts));
    this.#nodes = nodes;
    this.#place = place;
    Object.freeze(this);
  }

  /** "cross_attention.scores [batch, 8, tokens, contextLength] = Mul(cross_attention.products, cross_attention.scale)" */
  toString(): string {
    return `${this.name} [${this.shape.join(', ')}] = ${this.op}(${this.inputs.map(({ name }) => name).join(', ')})`;
  }
}

function attributesOf(op: string, list: number[], broadcasts: boolean): Record<string, unknown> {
  if (op === 'Transpose') return { perm: Object.freeze(list) };
  if (op === 'Reshape') return { shape: Object.freeze(list) };
  if (op === 'Softmax') return { axis: list[0] };
  return broadcasts ? { broadcast: true } : {};
}

/** Throws ArgumentError for anything else. */
export function checkNode(argument: string, node: unknown): ComputationNode {
  if (!(node instanceof ComputationNode)) fail(argument, node, 'a ComputationNode');
  return node;
}

/** One node, or a list of one or more. Throws ArgumentError for anything else. */
export function checkOutputs(output: unknown): ComputationNode[] {
  if (!Array.isArray(output)) return [checkNode('output', output)];
  if (output.length === 0) fail('output', output, 'a ComputationNode, or a list of one or more');
  return output.map((node, number) => checkNode(`output[${number}]`, node));
}

/** Where a node lies in the core. */
export function nodeOrigin(node: ComputationNode): NodeOrigin {
  return originOf(node);
}

/** A copy of a Constant's elements, row by row. Throws ArgumentError, naming the node, if its layer was disposed of. */
export function constantData(node: ComputationNode): TypedArray {
  const { nodes, place } = originOf(node);
  const view = nodes.view(place);
  if (view === undefined) {
    throw new ArgumentError(
      `node '${node.name}' is a parameter of a layer that was disposed of; it takes one that was not`,
    );
  }
  return view.slice();
}

export interface GraphOptions {
  /** Before the names of all nodes but the inputs; default 'cross_attention'. */
  name?: string;
  /**
   * With a third input, 'mask': added to the scores, [batch, heads, tokens, contextLength], any of the first three 1. Default
   * false.
   */
  mask?: boolean;
}

export function checkGraphOptions(options: GraphOptions | undefined): Required<GraphOptions> {
  const { name = 'cross_attention', mask = false } = checkOptions('options', options);
  return { name: checkString('options.name', name), mask: checkBoolean('options.mask', mask) };
}

/** The nodes of an exported graph. `shared`: a node of another graph that is one of them, too. */
export function wrapNodes(handle: CoreGraphNodes, shared: ComputationNode | null): ComputationNode[] {
  const nodes = new GraphNodes(handle);
  const wrapped: ComputationNode[] = [];
  for (let place = 0; place < handle.size(); ++place) {
    const [op, name, , , inputs] = handle.describe(place);
    const isShared = shared !== null && op === 'Input' && name === shared.name;
    wrapped.push(
      isShared
        ? shared
        : make(
            nodes,
            place,
            inputs.map((input) => wrapped[input]!),
          ),
    );
  }
  return wrapped;
}
