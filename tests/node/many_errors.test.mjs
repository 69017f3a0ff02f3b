// Tests of repeated errors: they must not exhaust the stack or memory of the WebAssembly module.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { runForValue } from '../support/child.mjs';
import { initOptions } from '../support/variant.mjs';

// The stack has 256 KB and its pointer moves in multiples of 16 bytes, so even the smallest leak per error
// exhausts it.
const count = 20_000;

// Errors thrown by the C++ core.
const failures = {
  'a wrong shape': 'layer.forwardWithContext(context, context)',
  'a backward out of order': 'layer.backward(input)',
  'a corrupt file': 'layer.loadWeights(new Uint8Array(16))',
  'missing weights': 'layer.loadWeights(emptyFile)',
  'too much memory': 'Tensor.zeros([2 ** 40])',
  'a reshape': 'input.reshape([7])',
  'heads that do not divide': 'new DiffusionCrossAttention(8, 8, 3)',
};

const entries = Object.entries(failures).map(([name, call]) => `${JSON.stringify(name)}: () => ${call},`);

/**
 * A script that prints a description of the problem per failure, or null. A module with an exhausted stack
 * may hang; then the child process is stopped.
 */
const script = `
  import {
    CrossAttentionError, DiffusionCrossAttention, init, memoryInUse, Tensor,
  } from 'diffusion-cross-attention';
  await init(${JSON.stringify(initOptions)});
  const layer = new DiffusionCrossAttention(8, 6, 2, 4, { seed: 1 });
  const input = Tensor.randn([5, 8], { seed: 2 });
  const context = Tensor.randn([3, 6], { seed: 3 });
  const emptyFile = Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 123, 125);
  const run = () => {
    const output = layer.forwardWithContext(input, context);
    const data = output.data().join();
    output.dispose();
    return data;
  };
  const expected = run();
  const inUse = memoryInUse();
  const repeat = (fail) => {
    for (let round = 0; round < ${count}; ++round) {
      try { fail(); return 'no error in round ' + round; } catch (error) {
        if (!(error instanceof CrossAttentionError)) return 'round ' + round + ': ' + String(error);
      }
    }
    if (run() !== expected) return 'the output changed';
    return memoryInUse() === inUse ? null : 'memoryInUse() is ' + memoryInUse() + '; expected ' + inUse;
  };
  const problems = {};
  for (const [name, fail] of Object.entries({ ${entries.join(' ')} })) {
    console.log(name);
    problems[name] = repeat(fail);
  }
  console.log(JSON.stringify(problems));`;

describe(`${count} times`, () => {
  let problems;
  before(async () => {
    problems = await runForValue(script, { seconds: 60 });
  });
  for (const name of Object.keys(failures)) test(name, () => assert.equal(problems[name], null));
});
