// The path of an attention layer's module: the common prefix of the names of its parts.
import type { Attention } from './attention';
import { isArithmetic } from './linear';
import type { NodeProto } from './model';
import type { AttentionSearch } from './search';

/** Returns the path, such as 'blocks.0.attn2'; null if the names have no common prefix. */
export function modulePath(
  { constants }: AttentionSearch,
  { query, key, value, output, bias }: Attention,
): string | null {
  const linears = [query, key, value, output];
  const path = pathOfNodes(linears.map(({ node }) => node));
  if (path !== null) return path;
  // Other exporters preserve the names of parameters: blocks.0.attn2.to_q.weight.
  const values =
    bias === null ? linears.map(({ weight }) => weight) : [...linears.map(({ weight }) => weight), bias];
  const parts = commonStart(
    values.map((name) => constants.origin(name)?.name ?? name),
    '.',
  );
  return parts.length > 0 ? parts.join('.') : null;
}

/** PyTorch's TorchScript exporter names nodes by the path of their module: /blocks.0/attn2/to_q/MatMul. */
function pathOfNodes(nodes: readonly NodeProto[]): string | null {
  const path = commonStart(
    nodes.map(({ name }) => name),
    '/',
  ).filter((part) => part !== '');
  return path.length > 0 ? path.join('.') : null;
}

const maxVisited = 256;

/**
 * Returns the path of an attention that the layer cannot represent: that of its node, or the common prefix of
 * the names of parameters near it; null if there is none.
 */
export function nearbyPath({ graph, constants }: AttentionSearch, node: NodeProto): string | null {
  const path = pathOfNodes([node]);
  if (path !== null) return path;
  const weights: string[] = [];
  const seen = new Set(node.input);
  // The set grows during the iteration.
  for (const value of seen) {
    if (seen.size > maxVisited) break;
    const from = graph.producer(value);
    if (from === undefined) continue;
    const used = from.input.filter((input) => constants.has(input));
    const named = used
      .map((input) => constants.origin(input)?.name ?? '')
      .filter((name) => name.includes('.'));
    weights.push(...named);
    const isLinear = used.length > 0 && !isArithmetic(from, 'Add', 'Mul', 'Sub', 'Div') && named.length > 0;
    if (!isLinear) from.input.forEach((input) => seen.add(input));
  }
  const parts = commonStart(weights, '.');
  return weights.length > 1 && parts.length > 0 ? parts.join('.') : null;
}

/** Returns the parts of the common prefix, without the last part of each name. */
function commonStart(names: readonly string[], separator: string): string[] {
  const paths = names.map((name) => name.split(separator).slice(0, -1));
  const [first = []] = paths;
  const end = first.findIndex((part, index) => paths.some((path) => path[index] !== part));
  return end < 0 ? first : first.slice(0, end);
}
