// The package inside Workers: each has its own instance, and the process can end.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { runScript } from '../support/child.mjs';
import { withCase } from '../support/cases.mjs';
import { assertSameBits } from '../support/compare.mjs';
import { runtimeInfo } from '../support/package.mjs';
import { initOptions } from '../support/variant.mjs';

const program = new URL('../support/layer_worker.mjs', import.meta.url);

/** Starts a Worker, runs a copy of the case in it, and stops it. */
async function runInWorker({ layer, input, context }) {
  const worker = new Worker(program, { workerData: { initOptions } });
  try {
    return await new Promise((resolve, reject) => {
      worker.on('error', reject);
      worker.on('message', resolve);
      worker.postMessage({
        parameters: layer.getParameters(),
        input: { data: input.data(), shape: input.shape },
        context: { data: context.data(), shape: context.shape },
      });
    });
  } finally {
    await worker.terminate();
  }
}

const size = { batch: 2, height: 5, width: 7, queryDim: 24, contextDim: 10, numHeads: 3, length: 9 };

test('a Worker computes the same bits: forward, forwardAsync and gradients', () =>
  withCase(size, async (layerCase, own) => {
    const { layer, input, context } = layerCase;
    const result = await runInWorker(layerCase);
    assert.deepEqual(result.info, { ...runtimeInfo });
    layer.training = true;
    const output = own(layer.forwardWithContext(input, context));
    assertSameBits(result.output, output.data(), 'forward');
    assertSameBits(result.outputAsync, output.data(), 'forwardAsync');
    assertSameBits(result.inputGradient, own(layer.backward(output)).data(), 'input gradient');
    assertSameBits(result.parameterGradients, layer.getParameterGradients(), 'parameter gradients');
    assert.equal(result.memoryInUse, 0);
  }));

test('several Workers at once', () =>
  withCase(size, async (layerCase, own) => {
    const { layer, input, context } = layerCase;
    const expected = own(layer.forwardWithContext(input, context)).data();
    const results = await Promise.all([1, 2, 3].map(() => runInWorker(layerCase)));
    for (const { output } of results) assertSameBits(output, expected, 'forward');
  }));

test('a Worker without work ends by itself, and so does the process', async () => {
  const { code, output, errors } = await runScript(
    `
    import { Worker, isMainThread } from 'node:worker_threads';
    if (isMainThread) {
      new Worker(new URL(import.meta.url)).on('exit', (code) => console.log('worker ended with', code));
    } else {
      const { init, Tensor, DiffusionCrossAttention } = await import('diffusion-cross-attention');
      await init(${JSON.stringify(initOptions)});
      const layer = new DiffusionCrossAttention(8, 8, 2, 4);
      (await layer.forwardAsync(Tensor.zeros([1, 8, 4, 4]), null)).dispose();
    }`,
  );
  assert.equal(code, 0, errors);
  assert.match(output, /worker ended with 0/);
});
