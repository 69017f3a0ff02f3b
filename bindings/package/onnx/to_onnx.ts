import { checkArray, checkInteger, readOptions, show, sizeOf } from '../checks';
import type { DType } from '../core';
import { ArgumentError } from '../errors';
import { checkNode, checkOutputs, constantData } from '../graph';
import type { ComputationNode } from '../graph';
import { addZero, maskedRows } from './masked_rows';
import { makeAttribute, makeNode, writeModel } from './model';
import type { AttributeProto, GraphProto, ValueInfoProto } from './model';
import { dataTypeOf, floatTensor, integerTensor } from './tensors';

export interface ToOnnxOptions {
  /** Version of ONNX's operator set, 17 to 26. Default 17. */
  opset?: number;
}

/** Replaces operators by others. */
export interface Fusion {
  /** Domain of the new operators; '' for ONNX's own. */
  domain: string;
  /** The first operator set that has them. */
  oldestOpset: number;
  /** Throws ArgumentError that contains `description` for a node that cannot be converted. */
  check(node: ComputationNode, description: string): void;
  apply(graph: GraphProto, opset: number): void;
}

/** The minimum version of the file format for each operator set. */
const fileVersions = new Map([
  [17, 8],
  [18, 8],
  [19, 9],
  [20, 9],
  [21, 10],
  [22, 10],
  [23, 11],
  [24, 12],
  [25, 13],
  [26, 13],
]);
export const oldestOpset = Math.min(...fileVersions.keys());
const newestOpset = Math.max(...fileVersions.keys());

/** Protobuf's limit for a message. */
const maxBytes = 2 ** 31 - 1;

/** AttributeProto.AttributeType */
const attributeTypes = { int: 2, ints: 7 } as const;

/**
 * Returns the graph as an ONNX model file of standard operators with the weights inside, for any ONNX engine.
 * Symbolic sizes of the graph are symbols in the model, so one file accepts any batch, number of tokens and
 * context length.
 *
 * @param output a node, or a list of nodes for a model with several outputs
 * @param inputs all Input nodes that `output` depends on, in the order of the model's inputs
 * @throws ArgumentError if an input is missing, listed twice or not an Input, and for a model of more than 2
 * GiB.
 *
 * @example
 * const inputs = [];
 * const output = layer.exportComputationGraph(inputs);
 * const file = toOnnx(output, inputs); // the bytes of a .onnx file
 */
export function toOnnx(
  output: ComputationNode | readonly ComputationNode[],
  inputs: readonly ComputationNode[],
  options?: ToOnnxOptions,
): Uint8Array {
  return writeOnnx(output, inputs, options, null);
}

export function writeOnnx(
  output: ComputationNode | readonly ComputationNode[],
  inputs: readonly ComputationNode[],
  options: ToOnnxOptions | undefined,
  fusion: Fusion | null,
): Uint8Array {
  const oldest = fusion?.oldestOpset ?? oldestOpset;
  const { opset = oldest } = readOptions('options', options, ['opset']);
  const outputs = checkOutputs(output);
  checkUnique('output', outputs);
  const inputNodes = checkInputs(inputs);
  checkInteger('opset', opset, oldest, newestOpset);
  const nodes = sortNodes(outputs);
  checkNodes(nodes, inputNodes, fusion);

  const graph = new GraphWriter(inputNodes, opset).write(nodes, outputs);
  const opsetImport = [{ domain: '', version: opset }];
  if (fusion !== null) {
    fusion.apply(graph, opset);
    if (fusion.domain !== '') opsetImport.push({ domain: fusion.domain, version: 1 });
  }
  const file = writeModel({
    irVersion: fileVersions.get(opset)!,
    producerName: 'diffusion-cross-attention',
    producerVersion: packageVersion,
    graph,
    opsetImport,
  });
  if (file.length > maxBytes) failOnSize(file.length);
  return file;
}

// --------------------------------------------------------------------------------------------- arguments

const describe = (node: ComputationNode): string => `node ${show(node.name)} (${node.op})`;

function checkUnique(argument: string, nodes: readonly ComputationNode[]): void {
  const twice = nodes.find((node, index) => nodes.indexOf(node) !== index);
  if (twice !== undefined) {
    throw new ArgumentError(`${argument} has ${describe(twice)} twice; expected each node once`);
  }
}

function checkInputs(inputs: unknown): ComputationNode[] {
  const nodes = checkArray('inputs', inputs, 'an array of ComputationNodes').map((value, index) => {
    const node = checkNode(`inputs[${index}]`, value);
    if (node.op !== 'Input') {
      throw new ArgumentError(`inputs[${index}] is ${describe(node)}; expected an Input`);
    }
    return node;
  });
  checkUnique('inputs', nodes);
  return nodes;
}

function checkNodes(
  nodes: readonly ComputationNode[],
  inputs: readonly ComputationNode[],
  fusion: Fusion | null,
): void {
  let bytes = 0;
  for (const node of nodes) {
    if (node.op === 'Input' && !inputs.includes(node)) {
      throw new ArgumentError(`inputs has no ${describe(node)}; expected all Input nodes of output`);
    }
    fusion?.check(node, describe(node));
    if (node.op === 'Constant') {
      bytes += sizeOf(node.shape.map(Number)) * (node.dtype === 'float32' ? 4 : 8);
    }
  }
  if (bytes > maxBytes) failOnSize(bytes);
}

function failOnSize(bytes: number): never {
  throw new ArgumentError(`output has a model of ${bytes} bytes; expected at most ${maxBytes}`);
}

/** Returns all nodes that the outputs depend on, each after its inputs. */
function sortNodes(outputs: readonly ComputationNode[]): ComputationNode[] {
  const sorted = new Set<ComputationNode>();
  const open: { node: ComputationNode; next: number }[] = [];
  for (const output of outputs) {
    open.push({ node: output, next: 0 });
    while (open.length > 0) {
      const top = open.at(-1)!;
      const input = sorted.has(top.node) ? undefined : top.node.inputs[top.next++];
      if (input !== undefined) open.push({ node: input, next: 0 });
      else {
        sorted.add(top.node);
        open.pop();
      }
    }
  }
  return [...sorted];
}

// --------------------------------------------------------------------------------------------- the graph

/**
 * The attributes of each operator in opset 17 and their types. In ONNX, the shape of a Reshape is an input.
 */
const operators = new Map<string, Readonly<Record<string, 'int' | 'ints'>>>([
  ...['Add', 'Sub', 'Mul', 'Div', 'MatMul', 'Log', 'Identity', 'Sqrt', 'Reshape'].map(
    (op): [string, Record<string, never>] => [op, {}],
  ),
  ['Softmax', { axis: 'int' }],
  ['Transpose', { perm: 'ints' }],
  ['ReduceMean', { axes: 'ints' }],
]);

class GraphWriter {
  readonly #graph: GraphProto = {
    node: [],
    name: 'diffusion-cross-attention',
    initializer: [],
    input: [],
    output: [],
    valueInfo: [],
  };
  /** Unique names of the nodes' values: two layers may have nodes with the same names. */
  readonly #names = new Map<ComputationNode, string>();
  readonly #usedNames = new Set<string>();

  /** Names the inputs first, so that their names do not change: users of the model need them. */
  constructor(
    inputs: readonly ComputationNode[],
    private readonly opset: number,
  ) {
    for (const input of inputs) {
      const name = this.#newName(input.name);
      this.#names.set(input, name);
      this.#graph.input.push(valueInfo(input, name));
    }
  }

  write(nodes: readonly ComputationNode[], outputs: readonly ComputationNode[]): GraphProto {
    for (const node of nodes) {
      if (node.op !== 'Input') this.#names.set(node, this.#newName(node.name));
    }
    for (const node of nodes) this.#add(node);
    for (const output of outputs) this.#graph.output.push(valueInfo(output, this.#outputName(output)));
    return this.#graph;
  }

  #add(node: ComputationNode): void {
    const name = this.#modulePath(node);
    if (node.op === 'Input') return;
    if (node.op === 'Constant') {
      this.#graph.initializer.push(floatTensor(name, node.shape.map(Number), constantData(node)));
      return;
    }
    const attributes = operators.get(node.op);
    if (attributes === undefined) {
      throw new ArgumentError(
        `output depends on ${describe(node)}; expected ${[...operators.keys()].join(', ')}`,
      );
    }
    const input = node.inputs.map((from) => this.#modulePath(from));
    if (node.op === 'Reshape') input.push(this.#addIntegers(name, 'shape', node));
    // From opset 18 on, the axes of a reduction are an input.
    const hasAxesInput = node.op === 'ReduceMean' && this.opset >= 18;
    if (hasAxesInput) input.push(this.#addIntegers(name, 'axes', node));
    const attribute = Object.entries(hasAxesInput ? {} : attributes).map(([key, type]) =>
      attributeOf(key, type, node.attributes[key]),
    );
    const isMasked = node.op === 'Softmax' && ['Add', 'Sub'].includes(node.inputs[0]!.op);
    const output = [isMasked ? this.#newName(`${name}.rows`) : name];
    this.#graph.node.push(makeNode({ name: output[0]!, opType: node.op, input, output, attribute }));
    if (isMasked) this.#zeroMaskedRows(name, input[0]!, output[0]!, node.dtype);
  }

  #zeroMaskedRows(name: string, scores: string, rows: string, dtype: DType): void {
    const condition = this.#newName(`${name}.masked`);
    this.#graph.node.push(...maskedRows(this.#graph, condition, scores, this.opset));
    const zero = addZero(this.#graph, this.#newName(`${name}.zero`), dtype);
    this.#graph.node.push(
      makeNode({ name, opType: 'Where', input: [condition, zero, rows], output: [name] }),
    );
  }

  /** Adds an attribute of the node as a constant. */
  #addIntegers(name: string, attribute: string, node: ComputationNode): string {
    const constant = this.#newName(`${name}.${attribute}`);
    this.#graph.initializer.push(integerTensor(constant, node.attributes[attribute] as number[]));
    return constant;
  }

  /** An output of a model must be computed by a node: an Identity copies inputs and constants. */
  #outputName(output: ComputationNode): string {
    const name = this.#modulePath(output);
    if (output.op !== 'Input' && output.op !== 'Constant') return name;
    const copy = this.#newName(`${name}.output`);
    this.#graph.node.push(makeNode({ name: copy, opType: 'Identity', input: [name], output: [copy] }));
    return copy;
  }

  #modulePath(node: ComputationNode): string {
    return this.#names.get(node)!;
  }

  #newName(base: string): string {
    let name = base;
    for (let count = 2; this.#usedNames.has(name) || name === ''; ++count) name = `${base}_${count}`;
    this.#usedNames.add(name);
    return name;
  }
}

const attributeOf = (name: string, type: 'int' | 'ints', value: unknown): AttributeProto =>
  type === 'int'
    ? makeAttribute({ name, type: attributeTypes.int, i: value as number })
    : makeAttribute({ name, type: attributeTypes.ints, ints: [...(value as readonly number[])] });

const leadingAxes = ['batch', 'heads', 'tokens'];

/**
 * Returns the declaration of a value. Leading axes of a broadcast input get symbols, because their size may
 * be 1.
 */
function valueInfo(node: ComputationNode, name: string): ValueInfoProto {
  const isBroadcast = node.op === 'Input' && node.attributes.broadcast === true;
  const dim = node.shape.map((size, axis) => {
    if (isBroadcast && size !== 1 && axis < leadingAxes.length)
      return { dimParam: `${name}.${leadingAxes[axis]}` };
    return typeof size === 'number' ? { dimValue: size, dimParam: '' } : { dimParam: size };
  });
  return { name, type: { tensorType: { elemType: dataTypeOf(node.dtype), shape: { dim } } } };
}
