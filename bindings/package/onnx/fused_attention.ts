// Replaces the operators of an attention by one: com.microsoft's MultiHeadAttention of ONNX Runtime, or
// ai.onnx's Attention.
import { show } from '../checks';
import { ArgumentError, WeightsError } from '../errors';
import { attentionNodes, readAttention } from './attention_pattern';
import type { Attention } from './attention';
import { makeAttribute, makeNode } from './model';
import type { AttributeProto, GraphProto, NodeProto } from './model';
import { addZero, maskedRows } from './masked_rows';
import type { Projection } from './projections';
import { makeSearch } from './search';
import { integerTensor } from './tensors';

/** AttributeProto.AttributeType */
const attributeTypes = { float: 1, int: 2, ints: 7 } as const;

const integer = (name: string, i: number): AttributeProto =>
  makeAttribute({ name, type: attributeTypes.int, i });

/** The domain of an operator that computes a whole attention. */
export type AttentionDomain = 'com.microsoft' | 'ai.onnx';

/**
 * Replaces each attention between its projections by one operator, and removes nodes that are unused
 * afterwards. Throws ArgumentError if an attention cannot be expressed by the operator.
 */
export function fuseAttentions(graph: GraphProto, opset: number, domain: AttentionDomain): void {
  const refuse = (node: NodeProto, problem: string): never => {
    throw new ArgumentError(
      `${notPossible(domain)}: node ${show(node.name)} ${problem}; use attention: 'operators'`,
    );
  };
  for (const attention of attentionsOf(graph, domain)) {
    const { node, output, scale, terms } = attention;
    if (scale === 0) refuse(node, 'has scale 0, which for the operator means its default');
    // ai.onnx multiplies queries and keys by the square root of the scale.
    if (domain === 'ai.onnx' && scale !== null && scale < 0) {
      refuse(node, `has scale ${scale}; expected a positive scale`);
    }
    if (terms.some((term) => term.scale !== 1)) refuse(node, 'scales scores after a mask was added');
    const index = graph.node.findIndex(({ output: [value] }) => value === output.input);
    const joined = graph.node[index]!;
    graph.node.splice(index, 1, ...fusedNodes(graph, attention, joined, opset, domain));
  }
  removeUnused(graph);
}

function attentionsOf(graph: GraphProto, domain: AttentionDomain): Attention[] {
  try {
    const search = makeSearch(graph, []);
    return attentionNodes(search, graph.node).map((node) => readAttention(search, node));
  } catch (error) {
    if (!(error instanceof WeightsError)) throw error;
    throw new ArgumentError(`${notPossible(domain)}: ${error.message}`);
  }
}

const notPossible = (domain: AttentionDomain): string =>
  `output cannot be exported with attention: '${domain}'`;

/**
 * Returns nodes that compute the output of `joined`, the node that joins the heads. The last one has its
 * name.
 */
function fusedNodes(
  graph: GraphProto,
  attention: Attention,
  joined: NodeProto,
  opset: number,
  domain: AttentionDomain,
): NodeProto[] {
  const { query, key, value, heads, scale, terms } = attention;
  const name = joined.name;
  const isMicrosoft = domain === 'com.microsoft';
  const nodes: NodeProto[] = [];
  const input = [
    joinedHeads(graph, nodes, `${name}.query`, query),
    joinedHeads(graph, nodes, `${name}.key`, key),
    value.projected,
  ];
  const counts = isMicrosoft ? ['num_heads'] : ['q_num_heads', 'kv_num_heads'];
  const attribute = counts.map((count) => integer(count, heads));
  if (scale !== null) attribute.push(makeAttribute({ name: 'scale', type: attributeTypes.float, f: scale }));
  const fused = isMicrosoft
    ? { opType: 'MultiHeadAttention', domain, attribute }
    : { opType: 'Attention', attribute };
  if (terms.length === 0) return [...nodes, makeNode({ ...fused, name, input, output: joined.output })];
  const [first, ...others] = terms.map((term) => term.value);
  const sum = others.reduce((before, mask, index) => {
    const output = `${name}.masks.${index}`;
    nodes.push(makeNode({ name: output, opType: 'Add', input: [before, mask], output: [output] }));
    return output;
  }, first!);
  nodes.push(...expandTokens(graph, name, sum, query.output));
  const attended = `${name}.attention`;
  const masked = [...input, ...(isMicrosoft ? ['', ''] : []), `${name}.mask`];
  nodes.push(makeNode({ ...fused, name: attended, input: masked, output: [attended] }));
  return [...nodes, ...zeroRows(graph, name, sum, heads, opset, joined.output)];
}

/** Returns the name of an operand [B, rows, C]. A norm has heads apart, [B, rows, heads, channels]. */
function joinedHeads(
  graph: GraphProto,
  nodes: NodeProto[],
  name: string,
  { projected, norm }: Projection,
): string {
  if (norm === null) return projected;
  graph.initializer.push(integerTensor(`${name}.shape`, [0, 0, -1]));
  nodes.push(makeNode({ name, opType: 'Reshape', input: [norm.output, `${name}.shape`], output: [name] }));
  return name;
}

/**
 * Returns nodes that replace rows of `<name>.attention` without keys by zero, for each head: the operator
 * returns NaN.
 */
function zeroRows(
  graph: GraphProto,
  name: string,
  mask: string,
  heads: number,
  opset: number,
  output: string[],
): NodeProto[] {
  const attended = `${name}.attention`;
  const [rows, condition, moved] = [`${attended}.rows`, `${attended}.masked`, `${attended}.masked_rows`];
  const [split, kept] = [`${attended}.heads`, `${attended}.kept`];
  graph.initializer.push(integerTensor(`${split}.shape`, [0, 0, heads, -1]));
  graph.initializer.push(integerTensor(`${rows}.shape`, [0, 0, -1]));
  const zero = addZero(graph, `${attended}.zero`, 'float32');
  const test = maskedRows(graph, condition, mask, opset);
  const perm = makeAttribute({ name: 'perm', type: attributeTypes.ints, ints: [0, 2, 1, 3] });
  const node = (opType: string, input: string[], result: string, attribute: AttributeProto[] = []) =>
    makeNode({ name: result, opType, input, output: [result], attribute });
  return [
    ...test,
    node('Transpose', [condition], moved, [perm]),
    node('Reshape', [attended, `${split}.shape`], split),
    node('Where', [moved, zero, split], kept),
    makeNode({ name, opType: 'Reshape', input: [kept, `${rows}.shape`], output }),
  ];
}

/** Returns nodes that broadcast a mask over the tokens as `<name>.mask`, which the operator does not do. */
function expandTokens(graph: GraphProto, name: string, mask: string, query: string): NodeProto[] {
  const [ones, tokens, shape] = [`${name}.mask.one`, `${name}.mask.tokens`, `${name}.mask.shape`];
  graph.initializer.push(integerTensor(ones, [1]));
  const concat = { opType: 'Concat', input: [ones, ones, tokens, ones], output: [shape] };
  return [
    makeNode({
      name: tokens,
      opType: 'Shape',
      input: [query],
      output: [tokens],
      attribute: [integer('start', 1), integer('end', 2)],
    }),
    makeNode({ ...concat, name: shape, attribute: [integer('axis', 0)] }),
    makeNode({ name: `${name}.mask`, opType: 'Expand', input: [mask, shape], output: [`${name}.mask`] }),
  ];
}

/** Removes nodes and initializers that no output depends on. The nodes must be sorted topologically. */
function removeUnused(graph: GraphProto): void {
  const needed = new Set(graph.output.map(({ name }) => name));
  for (const node of [...graph.node].reverse()) {
    if (!node.output.some((value) => needed.has(value))) continue;
    for (const value of node.input) needed.add(value);
  }
  graph.node = graph.node.filter((node) => node.output.some((value) => needed.has(value)));
  graph.initializer = graph.initializer.filter(({ name }) => needed.has(name));
}
