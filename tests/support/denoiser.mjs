// The entry diffusion-cross-attention/denoiser, with the variant loaded that this run of the tests is about, and models
// small enough for a test.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { afterEach } from 'node:test';
import { Denoiser, init, memoryInUse } from 'diffusion-cross-attention/denoiser';
import { normalArray } from '../../support/random.mjs';
import { parseSafetensors, writeSafetensors } from './safetensors.mjs';
import { initOptions } from './variant.mjs';

export * from 'diffusion-cross-attention/denoiser';

export const runtimeInfo = await init(initOptions);

export const smallOptions = {
  pixelFeatures: 8,
  pixelBlocks: 1,
  features: 32,
  blocks: 2,
  textFeatures: 32,
  textBlocks: 1,
  seed: 1,
};

/** A file, tensor by tensor: change(name, {dtype, shape, values}) returns what stands in its place, undefined leaves it out. */
export function editFile(file, change, changeMetadata = (metadata) => metadata) {
  const { tensors, metadata } = parseSafetensors(file);
  const changed = [...tensors].map(([name, tensor]) => [name, change(name, tensor)]);
  const { format, ...own } = metadata;
  return writeSafetensors(Object.fromEntries(changed.filter(([, tensor]) => tensor !== undefined)), {
    format,
    ...changeMetadata(own),
  });
}

/** Deviations of what training begins with as zeros: without them every picture would be gray. */
const deviations = { 'pixels.out.weight': 0.1, 'modulation.weight': 0.1 };

/** Queries and keys of the words' attention are so many times as long: it is to prefer some words to others. */
const preference = 3;

function randomized(name, tensor, seed) {
  const deviation = deviations[name];
  const length = tensor.values.length;
  if (deviation !== undefined) return { ...tensor, values: normalArray(length, seed, { deviation }) };
  if (!/attn2\.to_[qk]\.weight$/.test(name)) return tensor;
  return { ...tensor, values: tensor.values.map((value) => preference * value) };
}

/** The weights, as F32, of a small model whose pictures look like something: of noise, but of its words, too. */
export function randomFile(options = {}) {
  const model = Denoiser.create({ ...smallOptions, ...options });
  try {
    let seed = 1;
    return editFile(model.save({ dtype: 'float32' }), (name, tensor) => randomized(name, tensor, ++seed));
  } finally {
    model.dispose();
  }
}

const cachedFile = randomFile();

/** Such a model. `own`: see scoped of cases.mjs. */
export const randomModel = (own) => own(Denoiser.load(cachedFile));

/** The model of the site. */
export const shippedFile = () => readFileSync(new URL('../../web/model/scenes.safetensors', import.meta.url));

/** A sampler that has done all its steps. */
export function sampled(own, model, options) {
  const sampler = own(model.sampler({ steps: 4, seed: 1, ...options }));
  for (const frame of sampler) assert.equal(frame.step, sampler.step);
  return sampler;
}

/** The picture alone. */
export function paint(model, options) {
  const sampler = sampled((made) => made, model, options);
  try {
    return sampler.picture();
  } finally {
    sampler.dispose();
  }
}

export const file32 = (model) => model.save({ dtype: 'float32' });

/** After each test of the file. */
export const expectNoMemory = () =>
  afterEach(() => assert.equal(memoryInUse(), 0, 'the test has left memory in use'));
