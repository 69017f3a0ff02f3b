// The path of an attention layer's module: the common prefix of the names of its parts.
import type { Attention } from './attention_pattern';

/** Returns the path, such as 'blocks.0.attn2'; null if the names have no common prefix. */
export function modulePath({ query, key, value, output, bias }: Attention): string | null {
  const linears = [query, key, value, output];
  // PyTorch's TorchScript exporter names nodes by the path of their module: /blocks.0/attn2/to_q/MatMul.
  const path = commonStart(
    linears.map(({ node }) => node.name),
    '/',
  ).filter((part) => part !== '');
  if (path.length > 0) return path.join('.');
  // Other exporters preserve the names of parameters: blocks.0.attn2.to_q.weight.
  const tensors = linears.map(({ weight }) => weight.name);
  const parts = commonStart(bias === null ? tensors : [...tensors, bias.name], '.');
  return parts.length > 0 ? parts.join('.') : null;
}

/** Returns the parts of the common prefix, without the last part of each name. */
function commonStart(names: readonly string[], separator: string): string[] {
  const paths = names.map((name) => name.split(separator).slice(0, -1));
  const [first = []] = paths;
  const end = first.findIndex((part, index) => paths.some((path) => path[index] !== part));
  return end < 0 ? first : first.slice(0, end);
}
