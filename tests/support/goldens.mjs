// Reads golden files: what diffusers and PyTorch compute. Weights and inputs are not stored: they follow from
// their names (see tests/goldens/README.md).
import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';

/**
 * Returns `count` numbers from -1 to 1 that follow from a name: murmur3's finalizer of its CRC and the index.
 */
export function namedValues(name, count) {
  const start = crc32(name);
  return Float64Array.from({ length: count }, (_, index) => {
    let bits = (start + Math.imul(index, 0x9e3779b9)) >>> 0;
    bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
    bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
    return (2 * ((bits ^ (bits >>> 16)) >>> 0)) / 2 ** 32 - 1;
  });
}

const sizeOf = (shape) => shape.reduce((product, size) => product * size, 1);

/** Returns the values of a parameter, rounded to float32 as in files. */
export function goldenParameter(name, shape) {
  const size = sizeOf(shape);
  const scale = Math.sqrt(3 / (size / shape[0]));
  const isNorm = name.includes('norm') && name.endsWith('weight');
  const value = (random) => {
    if (shape.length >= 2) return random * scale;
    return isNorm ? 1 + 0.3 * random : 0.2 * random;
  };
  return Float64Array.from(namedValues(name, size), (random) => Math.fround(value(random)));
}

/** Returns the values of an input that has no rule of its own. */
export function goldenInput(name, { shape, gain = 1 }) {
  return namedValues(`input:${name}`, sizeOf(shape)).map((random) => random * Math.sqrt(3) * gain);
}

function stored({ shape, float32 }) {
  const bytes = Buffer.from(float32, 'base64');
  return {
    shape,
    values: new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)),
  };
}

/**
 * Returns the content of tests/goldens/NAME.json, with { shape, values } in place of stored arrays in
 * `outputs`, `parameters` and `inputs`. An input with a `rule` has no values.
 */
export function readGolden(name) {
  const golden = JSON.parse(readFileSync(new URL(`../goldens/${name}.json`, import.meta.url), 'utf8'));
  const mapValues = (object, map) =>
    Object.fromEntries(Object.entries(object ?? {}).map(([key, value]) => [key, map(key, value)]));
  return {
    ...golden,
    inputs: mapValues(golden.inputs, (key, input) =>
      input.rule === undefined ? { ...input, values: goldenInput(key, input) } : input,
    ),
    parameters: mapValues(golden.parameters, (key, shape) => ({
      shape,
      values: goldenParameter(key, shape),
    })),
    outputs: mapValues(golden.outputs, (_, value) => (value?.float32 === undefined ? value : stored(value))),
  };
}
