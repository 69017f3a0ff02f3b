// Attention as one operator of ONNX Runtime's own, com.microsoft's MultiHeadAttention, in place of plain ones.
import { ArgumentError, WeightsError } from '../errors';
import { findAttentions } from './attention_pattern';
import type { Attention } from './attention_pattern';
import { makeAttribute, makeNode } from './model';
import type { AttributeProto, GraphProto, NodeProto } from './model';
import { integerTensor } from './tensors';

/** AttributeProto.AttributeType */
const attributeTypes = { float: 1, int: 2 } as const;

const integer = (name: string, i: number): AttributeProto =>
  makeAttribute({ name, type: attributeTypes.int, i });

/**
 * Puts one operator in the place of each attention, between the projections, and takes out what nothing needs any more.
 * Throws ArgumentError where an attention cannot be said so.
 */
export function fuseAttentions(graph: GraphProto): void {
  for (const attention of attentionsOf(graph)) {
    const { node, output, scale, masks } = attention;
    if (scale === 0) refuse(node, 'has scale 0, which the operator takes for its default');
    if (masks.some((mask) => mask.scale !== 1)) refuse(node, 'scales scores after a mask was added to them');
    const place = graph.node.findIndex(({ output: [made] }) => made === output.input);
    const joined = graph.node[place]!;
    graph.node.splice(place, 1, ...fusedNodes(graph, attention, joined));
  }
  removeUnused(graph);
}

function attentionsOf(graph: GraphProto): Attention[] {
  try {
    return findAttentions(graph);
  } catch (error) {
    if (!(error instanceof WeightsError)) throw error;
    throw new ArgumentError(`attention is 'com.microsoft', which output cannot be said in: ${error.message}`);
  }
}

function refuse(node: NodeProto, what: string): never {
  throw new ArgumentError(
    `attention is 'com.microsoft', and node "${node.name}" ${what}; it takes 'operators'`,
  );
}

/** Nodes that make what `joined` has made, the last of them under its name. */
function fusedNodes(graph: GraphProto, attention: Attention, joined: NodeProto): NodeProto[] {
  const { query, key, value, heads, scale, masks } = attention;
  const name = joined.name;
  const input = [query.output, key.output, value.output];
  const attribute = [integer('num_heads', heads)];
  if (scale !== null) attribute.push(makeAttribute({ name: 'scale', type: attributeTypes.float, f: scale }));
  const nodes: NodeProto[] = [];
  if (masks.length > 0) {
    const [first, ...others] = masks.map((mask) => mask.value);
    const sum = others.reduce((before, mask, index) => {
      const output = `${name}.masks.${index}`;
      nodes.push(makeNode({ name: output, opType: 'Add', input: [before, mask], output: [output] }));
      return output;
    }, first!);
    nodes.push(...expandTokens(graph, name, sum, query.output));
    input.push('', '', `${name}.mask`);
  }
  const fused = { name, opType: 'MultiHeadAttention', domain: 'com.microsoft', input, output: joined.output };
  return [...nodes, makeNode({ ...fused, attribute })];
}

/** `<name>.mask`: the mask for each token, which the operator does not do by itself. */
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

/** Nodes and initializers that no output depends on. The nodes are sorted: each follows those whose values it takes. */
function removeUnused(graph: GraphProto): void {
  const needed = new Set(graph.output.map(({ name }) => name));
  for (const node of [...graph.node].reverse()) {
    if (!node.output.some((value) => needed.has(value))) continue;
    for (const value of node.input) needed.add(value);
  }
  graph.node = graph.node.filter((node) => node.output.some((value) => needed.has(value)));
  graph.initializer = graph.initializer.filter(({ name }) => needed.has(name));
}
