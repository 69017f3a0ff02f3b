// LoRA files in all spellings.
import { writeSafetensors } from './safetensors.mjs';

/** to_q, to_k, to_v, to_out.0 */
export const projections = ['to_q', 'to_k', 'to_v', 'to_out.0'];

const underscores = (path) => path.replaceAll('.', '_');
const ldmOf = (path) => {
  const [, side, block, layer, rest] =
    /^(down|up)_blocks\.(\d+)\.attentions\.(\d+)(.*)$/.exec(path) ??
    /^(mid)_block()\.attentions\.0()(.*)$/.exec(path);
  if (side === 'mid') return `middle_block.1${rest}`;
  const number = Number(block) * 3 + Number(layer) + (side === 'down' ? 1 : 0);
  return `${side === 'down' ? 'input' : 'output'}_blocks.${number}.1${rest}`;
};
const dotted = (path) => (path === '' ? '' : `${path}.`);
const joined = (path) => (path === '' ? '' : `${underscores(path)}_`);

/** By name: (path, projection) => names of { down, up, alpha }; `path` is the module's, '' for a layer. */
export const spellings = Object.fromEntries(
  Object.entries({
    PEFT: (path, projection) => [`${dotted(path)}${projection}`, '.lora_A.weight', '.lora_B.weight'],
    'PEFT with an adapter name': (path, projection) => [
      `${dotted(path)}${projection}`,
      '.lora_A.default.weight',
      '.lora_B.default.weight',
    ],
    'PEFT, unet.': (path, projection) => [
      `unet.${dotted(path)}${projection}`,
      '.lora_A.weight',
      '.lora_B.weight',
    ],
    'PEFT, base_model.model.': (path, projection) => [
      `base_model.model.${dotted(path)}${projection}`,
      '.lora_A.weight',
      '.lora_B.weight',
    ],
    'PEFT, transformer.': (path, projection) => [
      `transformer.${dotted(path)}${projection}`,
      '.lora_A.default.weight',
      '.lora_B.default.weight',
    ],
    'diffusers with processors': (path, projection) => [
      `${dotted(path)}processor.${projection.replace('.0', '')}_lora`,
      '.down.weight',
      '.up.weight',
    ],
    'diffusers, unet. with processors': (path, projection) => [
      `unet.${dotted(path)}processor.${projection.replace('.0', '')}_lora`,
      '.down.weight',
      '.up.weight',
    ],
    'diffusers, lora.down': (path, projection) => [
      `${dotted(path)}${projection}`,
      '.lora.down.weight',
      '.lora.up.weight',
    ],
    'diffusers, lora_linear_layer': (path, projection) => [
      `unet.${dotted(path)}${projection}`,
      '.lora_linear_layer.down.weight',
      '.lora_linear_layer.up.weight',
    ],
    kohya: (path, projection) => [
      `lora_unet_${joined(path)}${underscores(projection)}`,
      '.lora_down.weight',
      '.lora_up.weight',
    ],
    LyCORIS: (path, projection) => [
      `lycoris_${joined(path)}${underscores(projection)}`,
      '.lora_down.weight',
      '.lora_up.weight',
    ],
    ...{
      'kohya, LDM blocks': (path, projection) => [
        `lora_unet_${joined(path && ldmOf(path))}${underscores(projection)}`,
        '.lora_down.weight',
        '.lora_up.weight',
      ],
      'LDM paths': (path, projection) => [
        `model.diffusion_model.${dotted(path && ldmOf(path))}${projection}`,
        '.lora_A.weight',
        '.lora_B.weight',
      ],
    },
  }).map(([name, spell]) => [
    name,
    (path, projection) => {
      const [start, down, up] = spell(path, projection);
      return { down: start + down, up: start + up, alpha: `${start}.alpha` };
    },
  ]),
);

const tensorOf = (shape, values, dtype = 'F32') => ({ dtype, shape, values });

/**
 * Returns the tensors of one update. `update`: { down, up: arrays of rows, alpha: number or undefined }.
 * `convolution`: shapes [r, in, 1, 1]. `alphaType` and `alphaShape`: of the alpha.
 */
export function loraTensors(spelling, path, projection, update, options = {}) {
  const { convolution = false, alphaType = 'F32', alphaShape = [] } = options;
  const names = spellings[spelling](path, projection);
  const matrix = (rows) =>
    tensorOf([rows.length, rows[0].length, ...(convolution ? [1, 1] : [])], rows.flat());
  return {
    [names.down]: matrix(update.down),
    [names.up]: matrix(update.up),
    ...(update.alpha === undefined ? {} : { [names.alpha]: tensorOf(alphaShape, [update.alpha], alphaType) }),
  };
}

/** Returns W + scale · alpha / rank · up·down for each, in float64. */
export function withLora(weights, columns, { down, up, alpha }, scale = 1) {
  const rank = down.length;
  const factor = scale * ((alpha || rank) / rank);
  return Float64Array.from(weights, (value, index) => {
    const row = Math.floor(index / columns);
    const column = index % columns;
    return value + factor * down.reduce((sum, values, r) => sum + up[row][r] * values[column], 0);
  });
}

export const loraFile = (...tensors) => writeSafetensors(Object.assign({}, ...tensors));
