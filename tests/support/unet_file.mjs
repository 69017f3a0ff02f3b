// A sparse file of the size and with the attention layers of Stable Diffusion 1.5's U-Net.
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';

const contextDim = 768;

/** Returns {prefix, channels, context} of all attentions. `divisor`: of all channels. */
export function unetLayers(divisor = 1) {
  const blocks = [
    ...[0, 1, 2].flatMap((level) =>
      [0, 1].map((index) => [`down_blocks.${level}.attentions.${index}`, level]),
    ),
    ['mid_block.attentions.0', 2],
    ...[1, 2, 3].flatMap((up) => [0, 1, 2].map((index) => [`up_blocks.${up}.attentions.${index}`, 3 - up])),
  ];
  return blocks.flatMap(([block, level]) =>
    ['attn1', 'attn2'].map((name) => {
      const channels = [320, 640, 1280][level] / divisor;
      return {
        prefix: `${block}.transformer_blocks.0.${name}.`,
        channels,
        context: name === 'attn1' ? channels : contextDim / divisor,
      };
    }),
  );
}

const parameters = ({ channels, context }) => ({
  'to_q.weight': [channels, channels],
  'to_k.weight': [channels, context],
  'to_v.weight': [channels, context],
  'to_out.0.weight': [channels, channels],
  'to_out.0.bias': [channels],
});

/**
 * Writes a float16 file of `fileBytes`. The first element of each parameter is 1 + its number / 1024; the
 * others are zero, as are the tensors between the layers. Returns {tensorBytes, headerBytes}.
 */
export function writeUnetFile(name, fileBytes, layers) {
  const header = {};
  const begins = [];
  const sizes = layers.map((layer) =>
    Object.values(parameters(layer)).reduce((sum, shape) => sum + 2 * shape.reduce((a, b) => a * b, 1), 0),
  );
  const tensorBytes = sizes.reduce((sum, size) => sum + size, 0);
  const between = Math.floor((fileBytes - tensorBytes) / layers.length / 2);
  let at = 0;
  const add = (key, shape) => {
    const end = at + 2 * shape.reduce((a, b) => a * b, 1);
    header[key] = { dtype: 'F16', shape, data_offsets: [at, end] };
    at = end;
  };
  layers.forEach((layer, index) => {
    for (const [parameter, shape] of Object.entries(parameters(layer))) {
      begins.push(at);
      add(layer.prefix + parameter, shape);
    }
    add(`other.${index}.weight`, [between]);
  });
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const file = openSync(name, 'w');
  writeSync(file, Buffer.concat([length, text]));
  ftruncateSync(file, 8 + text.length + at);
  begins.forEach((begin, index) => {
    const bits = Buffer.alloc(2);
    bits.writeUInt16LE(0x3c00 + index);
    writeSync(file, bits, 0, 2, 8 + text.length + begin);
  });
  closeSync(file);
  return { tensorBytes, headerBytes: 8 + text.length };
}
