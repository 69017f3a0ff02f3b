// Exports the entry diffusion-cross-attention/denoiser with the tested variant loaded, and small models for
// tests.
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

/**
 * Edits a safetensors file. change(name, {dtype, shape, values}) returns the new tensor, or undefined to
 * remove it.
 */
export function editFile(file, change, changeMetadata = (metadata) => metadata) {
  const { tensors, metadata } = parseSafetensors(file);
  const changed = [...tensors].map(([name, tensor]) => [name, change(name, tensor)]);
  const { format, ...own } = metadata;
  return writeSafetensors(Object.fromEntries(changed.filter(([, tensor]) => tensor !== undefined)), {
    format,
    ...changeMetadata(own),
  });
}

/** Standard deviations of weights that are zero before training. With zeros all pictures would be gray. */
const deviations = { 'pixels.out.weight': 0.1, 'modulation.weight': 0.1 };

/** Factor of the query and key weights of the cross-attention, so that it prefers some words to others. */
const attentionFactor = 3;

function randomized(name, tensor, seed) {
  const deviation = deviations[name];
  const length = tensor.values.length;
  if (deviation !== undefined) return { ...tensor, values: normalArray(length, seed, { deviation }) };
  if (!/attn2\.to_[qk]\.weight$/.test(name)) return tensor;
  return { ...tensor, values: tensor.values.map((value) => attentionFactor * value) };
}

/**
 * Returns the F32 weights of a small model with random weights whose pictures depend on the noise and on the
 * words.
 */
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

/** Returns a model with the weights of randomFile. `own`: see scoped in cases.mjs. */
export const randomModel = (own) => own(Denoiser.load(cachedFile));

/** Returns the file of the site's model. */
export const shippedFile = () => readFileSync(new URL('../../web/model/scenes.safetensors', import.meta.url));

/** Returns a sampler that has completed all steps. */
export function finishedSampler(own, model, options) {
  const sampler = own(model.sampler({ steps: 4, seed: 1, ...options }));
  for (const frame of sampler) assert.equal(frame.step, sampler.step);
  return sampler;
}

/** Samples a picture and disposes the sampler. */
export function samplePicture(model, options) {
  const sampler = finishedSampler((object) => object, model, options);
  try {
    return sampler.picture();
  } finally {
    sampler.dispose();
  }
}

export const saveFloat32 = (model) => model.save({ dtype: 'float32' });

/** Asserts after each test of the file that no memory is in use. */
export const expectNoMemoryAfterEach = () =>
  afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaves memory in use'));
