// Names of the tensors of LoRA files, in the spellings of PEFT, diffusers, kohya's scripts and LDM. They are
// untrusted: any string may be a name, and each takes time in proportion to its length.
//
// Based on: diffusers, loaders/lora_conversion_utils.py; kohya-ss/sd-scripts, networks/lora.py; PEFT,
// tuners/lora/layer.py; LyCORIS, modules/.

/** A tensor that belongs to a projection of an attention. */
export interface LoraName {
  /** The attention: equal in all spellings. '' if the names are those of a single layer. */
  readonly module: string;
  /** The part of the name that precedes the projection. */
  readonly prefix: string;
  /** 'to_q', 'to_out', or a fused projection: 'to_qkv', 'to_kv'. */
  readonly projection: string;
  /** A and B of W + scale · alpha / rank · B·A; null for a tensor of the model itself; else its kind. */
  readonly part: 'down' | 'up' | 'alpha' | null | { readonly kind: string };
}

/** Blocks of a U-Net's half have 2 layers, followed by a change of resolution: Stable Diffusion 1, 2, XL. */
const layersPerBlock = 3;

/** Translates LDM's numbers of blocks to those of diffusers. */
const toDiffusers = (module: string): string =>
  module.replace(
    /^(?:(in|out)put_blocks_(\d{1,3})_1|middle_block_1)(?=_|$)/,
    (original, side: string | undefined, number: string) => {
      if (side === undefined) return 'mid_block_attentions_0';
      // The first input block is a convolution.
      const layer = side === 'in' ? Number(number) - 1 : Number(number);
      if (layer < 0) return original;
      const block = Math.floor(layer / layersPerBlock);
      return `${side === 'in' ? 'down' : 'up'}_blocks_${block}_attentions_${layer % layersPerBlock}`;
    },
  );

const pathStarts =
  /^(?:(?:base_model\.model|unet|transformer|model|diffusion_model)\.|lora_(?:unet|transformer)_|lycoris_)+/;

/**
 * Returns the same key for all spellings of a module's path. `path`: as it precedes a projection, the final
 * separator may be left out.
 */
export function moduleKey(path: string): string {
  const complete = /[._]$/.test(path) || path === '' ? path : `${path}.`;
  const module = complete
    .replace(pathStarts, '')
    .slice(0, -1)
    .replace(/(^|[._])processor$/, '')
    .replaceAll('.', '_');
  return toDiffusers(module);
}

/** Kinds of adapters by what follows the projection. */
const kinds: [RegExp, string][] = [
  [/^hada_/, 'LoHa'],
  [/^lokr_/, 'LoKr'],
  [/^(dora_|magnitude)/, 'DoRA'],
  [/^mid\b/, 'LoCon with a core tensor'],
  [/^(oft_|boft_|oft\b)/, 'OFT'],
  [/^diff(_b)?$/, 'a full difference'],
  [/^(down|up|A|B)\b.*\bbias$/, 'LoRA with a bias'],
];

function partOf(isLora: boolean, rest: string): LoraName['part'] {
  const matrix = isLora && /^(?:(down|A)|up|B)(?:\.[^.]+)?\.weight$/.exec(rest);
  if (matrix) return matrix[1] === undefined ? 'up' : 'down';
  if (rest === 'alpha') return 'alpha';
  // Weights of the model, which some files repeat, and the factors of 8-bit weights.
  if (!isLora && /^(weight|bias|base_layer|scale_|input_)/.test(rest)) return null;
  const known = kinds.find(([pattern]) => pattern.test(rest));
  return { kind: known?.[1] ?? 'an unknown kind of adapter' };
}

/** Returns what a name means; null if it belongs to no projection of an attention. */
export function parseLoraName(name: string): LoraName | null {
  const found =
    /^(.*[._])?(to_(?:qkv|kv|q|k|v|out(?:[._]0)?))(?:(_lora|\.lora(?:_linear_layer)?)[._]|\.)(.+)$/s.exec(
      name,
    );
  if (found === null) return null;
  const [, prefix = '', projection, lora, rest] = found;
  return {
    module: moduleKey(prefix),
    prefix,
    projection: projection!.startsWith('to_out') ? 'to_out' : projection!,
    part: partOf(lora !== undefined, rest!),
  };
}
