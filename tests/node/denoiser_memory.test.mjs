// Tests of the memory of denoisers: all memory is freed by dispose or by garbage collection, in any order.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { runForValue } from '../support/child.mjs';
import { scoped } from '../support/cases.mjs';
import { Denoiser, expectNoMemoryAfterEach, memoryInUse, samplePicture } from '../support/denoiser.mjs';
import { randomModel, finishedSampler, smallOptions } from '../support/denoiser.mjs';
import { fineTunerOptions, fineTune } from '../support/denoiser_fine_tuning.mjs';
import { initOptions } from '../support/variant.mjs';

expectNoMemoryAfterEach();

const prompt = 'a red circle above a star';

describe('no memory is in use after dispose', () => {
  const uses = {
    'a model': () => {},
    'a sampler with and without maps': (own, model) => {
      finishedSampler(own, model, { prompt });
      finishedSampler(own, model, { prompt, maps: false, guidance: 1 });
    },
    'an unfinished sampler': (own, model) => own(model.sampler({ prompt })).advance(),
    'an edit': (own, model) => finishedSampler(own, model, { prompt, edit: { from: 'a blue circle' } }),
    'a fine-tuner': (own, model) => {
      fineTune(model, 2);
      model.loadLora(model.saveLora());
      samplePicture(model, { prompt });
    },
    'a fine-tuner disposed after its denoiser': (own, model) => {
      const fineTuner = model.fineTuner(fineTunerOptions());
      fineTuner.step();
      model.dispose();
      fineTuner.dispose();
    },
    'a trainer with a checkpoint': (own, model) => {
      const trainer = own(model.trainer({ batch: 2 }));
      trainer.step(0.001);
      trainer.loadCheckpoint(trainer.saveCheckpoint());
      trainer.withEma(() => samplePicture(model, { prompt }));
    },
    'invalid files': (own, model) => {
      const file = model.save();
      assert.throws(() => Denoiser.load(file.subarray(0, 1000)));
      assert.throws(() => model.loadLora(file));
    },
  };
  for (const [name, use] of Object.entries(uses)) {
    test(name, () => {
      scoped((own) => {
        const model = randomModel(own);
        assert.ok(memoryInUse() > 0);
        use(own, model);
      });
      assert.equal(memoryInUse(), 0);
    });
  }

  test('in any order', () => {
    const orders = [
      [0, 1, 2, 3],
      [3, 2, 1, 0],
      [2, 0, 3, 1],
      [1, 3, 0, 2],
    ];
    for (const order of orders) {
      const model = Denoiser.create(smallOptions);
      const trainer = model.trainer({ batch: 1 });
      trainer.step(0.001);
      const sampler = model.sampler({ prompt });
      sampler.advance();
      const fineTuner = model.fineTuner(fineTunerOptions());
      const owned = [model, trainer, sampler, fineTuner];
      for (const index of order) owned[index].dispose();
      assert.equal(memoryInUse(), 0, order.join());
    }
  });
});

test('25 pictures and 25 fine-tuning steps leak no memory', () =>
  scoped((own) => {
    const model = randomModel(own);
    // Without rehearsal scenes, whose captions differ in length, all steps have the same shapes.
    const fineTuner = own(model.fineTuner(fineTunerOptions({ batch: 2, rehearsal: 0 })));
    const round = () => {
      fineTuner.step();
      samplePicture(model, { prompt, steps: 1, edit: { from: 'a star' } });
    };
    for (let count = 0; count < 3; ++count) round();
    const inUse = memoryInUse();
    for (let count = 0; count < 25; ++count) round();
    assert.equal(memoryInUse(), inUse);
  }));

test('an unused model uses 4 to 16 bytes per parameter', () => {
  const model = Denoiser.create({ blocks: 2 });
  // Values and gradients, and copies of both in the attention layers.
  const [min, max] = [4, 16].map((bytes) => bytes * model.parameterCount);
  const inUse = memoryInUse();
  model.dispose();
  assert.ok(inUse >= min && inUse <= max, `${inUse} bytes for ${model.parameterCount} parameters`);
});

test('garbage collection frees unreachable objects in any order', async () => {
  const { before, after, frames } = await runForValue(
    `
    import { Denoiser, init, memoryInUse } from 'diffusion-cross-attention/denoiser';
    import { setTimeout as sleep } from 'node:timers/promises';
    await init(${JSON.stringify(initOptions)});
    const create = () => Denoiser.create(${JSON.stringify(smallOptions)});
    const fineTunerOptions = () => ({ word: 'blob', pictures: [new Float32Array(3072)], batch: 1 });
    const reachableModel = create();
    const makers = [
      (model) => model.sampler({ prompt: 'a star', edit: { from: 'a circle' } }).advance(),
      (model) => model.trainer({ batch: 1 }).step(0.001),
      (model) => model.fineTuner(fineTunerOptions()).step(),
      (model) => {
        model.fineTuner(fineTunerOptions()).step();
        model.sampler({ prompt: 'a blob' }).advance();
      },
      (model) => { model.trainer({ batch: 1 }); model.dispose(); },
      (model) => { model.sampler({ prompt: 'a star' }).advance(); model.dispose(); },
      (model) => {
        const fineTuner = model.fineTuner(fineTunerOptions());
        fineTuner.step();
        model.saveLora();
        fineTuner.dispose();
      },
    ];
    function makeUnreachable() {
      for (const make of makers) make(create());
      for (let round = 0; round < 3; ++round) reachableModel.sampler({ prompt: 'a star' }).advance();
    }
    makeUnreachable();
    const before = memoryInUse();
    const collect = async (enough) => {
      for (let round = 0; round < 1000 && !enough(); ++round) { await sleep(10); globalThis.gc(); }
    };
    await collect(() => memoryInUse() < before / 6);
    // The reachable model remains usable.
    const sampler = reachableModel.sampler({ prompt: 'a star', steps: 2 });
    const frames = [...sampler].length;
    sampler.dispose();
    reachableModel.dispose();
    await collect(() => memoryInUse() === 0);
    console.log(JSON.stringify({ before, after: memoryInUse(), frames }));`,
    { flags: ['--expose-gc'] },
  );
  assert.ok(before > 0);
  assert.equal(frames, 2);
  assert.equal(after, 0);
});
