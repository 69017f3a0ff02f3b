// Tests of reproducibility of a denoiser: pictures, maps and training have the same bits in another process
// and with any number of threads.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { runForValue } from '../support/child.mjs';
import { initOptions } from '../support/variant.mjs';

const support = (name) => new URL(`../support/${name}.mjs`, import.meta.url);

// The script calls init before it imports denoiser.mjs, so that its options are used.
const script = (threads) => `
  import { Denoiser, init, randomScene } from 'diffusion-cross-attention/denoiser';
  const info = await init({ simd: '${initOptions.simd}', threads: ${threads} });
  const { scoped } = await import('${support('cases')}');
  const { hashOf } = await import('${support('compare')}');
  const { saveFloat32, randomModel, finishedSampler, smallOptions } = await import('${support('denoiser')}');
  const { fineTunerOptions } = await import('${support('denoiser_fine_tuning')}');
  const hashes = {};
  const add = (name, values) => (hashes[name] = hashOf(values));
  scoped((own) => {
    const model = randomModel(own);
    const prompt = 'a red circle above a star';
    const samplers = {
      plain: {},
      unguided: { guidance: 1 },
      weighted: { wordWeights: [1, 1, 2, 1, 1, 0] },
      edit: { edit: { from: 'a large blue circle above a star' } },
    };
    for (const [name, options] of Object.entries(samplers)) {
      const sampler = finishedSampler(own, model, { prompt, ...options });
      add(name + ': picture', sampler.picture());
      add(name + ': maps', sampler.maps());
    }
    add('scene', randomScene({ seed: 5 }).picture);
    const fineTuner = own(model.fineTuner(fineTunerOptions()));
    add('losses of fine-tuning', Float64Array.from({ length: 2 }, () => fineTuner.step().loss));
    add('updates', model.saveLora());
    const created = own(Denoiser.create(smallOptions));
    add('initial weights', saveFloat32(created));
    const trainer = own(created.trainer({ batch: 4, seed: 2 }));
    add('losses of the trainer', Float64Array.from({ length: 3 }, () => trainer.step(0.003).loss));
    add('checkpoint', trainer.saveCheckpoint());
  });
  console.log(JSON.stringify({ threads: info.threads, hashes }));`;

describe(`results do not depend on the number of threads, ${initOptions.simd}`, () => {
  let single;
  before(async () => {
    single = await runForValue(script(1));
    assert.equal(single.threads, 1);
    assert.equal(Object.keys(single.hashes).length, 14);
    assert.equal(new Set(Object.values(single.hashes)).size, 14);
  });
  for (const threads of [1, 2, 3]) {
    test(`${threads} ${threads === 1 ? 'thread, in another process' : 'threads'}`, async () => {
      assert.deepEqual(await runForValue(script(threads)), { ...single, threads });
    });
  }
});
