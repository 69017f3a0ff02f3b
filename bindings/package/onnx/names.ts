// What a model calls an attention layer: the beginning that the names of its parts have in common.
import type { Attention } from './attention_pattern';

/** Null where the parts have no such names. */
export function nameOf({ query, key, value, output, bias }: Attention): string | null {
  const linears = [query, key, value, output];
  // PyTorch's TorchScript exporter gives nodes the path of their module: /blocks.0/attn2/to_q/MatMul.
  const path = commonStart(
    linears.map(({ node }) => node.name),
    '/',
  ).filter((part) => part !== '');
  if (path.length > 0) return path.join('.');
  // Others keep the names of parameters: blocks.0.attn2.to_q.weight.
  const tensors = linears.map(({ weight }) => weight.name);
  const parts = commonStart(bias === null ? tensors : [...tensors, bias.name], '.');
  return parts.length > 0 ? parts.join('.') : null;
}

/** The parts that all names begin with, each name's last one aside. */
function commonStart(names: readonly string[], separator: string): string[] {
  const paths = names.map((name) => name.split(separator).slice(0, -1));
  const [first = []] = paths;
  const end = first.findIndex((part, index) => paths.some((path) => path[index] !== part));
  return end < 0 ? first : first.slice(0, end);
}
