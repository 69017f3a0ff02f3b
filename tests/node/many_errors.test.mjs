// Errors without end: a program that tries and fails all day must not wear the module out.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { runForValue } from '../support/child.mjs';
import { initOptions } from '../support/variant.mjs';

// Of the errors that only the core finds, so many that a leak of 8 bytes of its 256 KB stack an error would show.
const count = 40_000;

const failures = {
  'a wrong shape': 'layer.forwardWithContext(context, context)',
  'a backward out of order': 'layer.backward(input)',
  'a corrupt file': 'layer.loadWeights(new Uint8Array(16))',
  'missing weights': 'layer.loadWeights(emptyFile)',
  'too much memory': 'Tensor.zeros([2 ** 40])',
  'a reshape': 'input.reshape([7])',
  'heads that do not divide': 'new DiffusionCrossAttention(8, 8, 3)',
};

describe(`${count} times`, () => {
  for (const [name, call] of Object.entries(failures)) {
    test(name, async () => {
      const source = `
        import { CrossAttentionError, DiffusionCrossAttention, init, memoryInUse, Tensor } from 'diffusion-cross-attention';
        await init(${JSON.stringify(initOptions)});
        const layer = new DiffusionCrossAttention(8, 6, 2, 4, { seed: 1 });
        const input = Tensor.randn([5, 8], { seed: 2 });
        const context = Tensor.randn([3, 6], { seed: 3 });
        const emptyFile = Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 123, 125);
        const run = () => { const output = layer.forwardWithContext(input, context); const data = output.data().join(); output.dispose(); return data; };
        const expected = run();
        const inUse = memoryInUse();
        let wrong = null;
        for (let round = 0; round < ${count} && wrong === null; ++round) {
          try { ${call}; wrong = 'no error in round ' + round; } catch (error) {
            if (!(error instanceof CrossAttentionError)) wrong = 'round ' + round + ': ' + String(error);
          }
        }
        if (wrong === null && run() !== expected) wrong = 'another output afterwards';
        if (wrong === null && memoryInUse() !== inUse) wrong = 'memory in use: ' + memoryInUse() + ', not ' + inUse;
        console.log(JSON.stringify({ wrong }));`;
      const result = await runForValue(source);
      assert.equal(result.wrong, null);
    });
  }
});
