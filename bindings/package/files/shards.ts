// The index of a file in shards, *.safetensors.index.json, as transformers and diffusers write it.
import { show } from '../checks';
import { WeightsError } from '../errors';

/** Returns the names of the shards and, for each tensor, the shard that has it. */
export function parseIndex(
  name: string,
  bytes: Uint8Array,
): { shards: string[]; owners: Map<string, string> } {
  const fail = (problem: string): never => {
    throw new WeightsError(`${name} is not an index of shards: ${problem}`);
  };
  const parse = (): { weight_map?: unknown } | null => {
    try {
      return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as { weight_map?: unknown };
    } catch {
      return fail('it is not valid JSON');
    }
  };
  const map = parse()?.weight_map;
  if (typeof map !== 'object' || map === null || Array.isArray(map)) fail('it has no object weight_map');
  const owners = new Map<string, string>();
  for (const [tensor, shard] of Object.entries(map as object)) {
    // An index must not lead to files elsewhere.
    const isName = typeof shard === 'string' && /^[^/\\:?#]+(\/[^/\\:?#]+)*$/.test(shard);
    if (!isName || shard.split('/').some((part) => part === '.' || part === '..')) {
      fail(`the shard of tensor ${show(tensor)} is ${show(shard)}; expected the name of a file next to it`);
    }
    owners.set(tensor, shard as string);
  }
  if (owners.size === 0) fail('weight_map is empty');
  return { shards: [...new Set(owners.values())], owners };
}
