// Tests of memory: dispose and garbage collection free all of it, views after memory growth, size of scratch
// memory.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { buildSync } from 'esbuild';
import { allocate } from '../support/allocate.mjs';
import { runForValue } from '../support/child.mjs';
import { keyMask, makeCase, normalTensor, withCase } from '../support/cases.mjs';
import { collectGarbage } from '../support/collect_garbage.mjs';
import { DiffusionCrossAttention, memoryInUse, Tensor } from '../support/package.mjs';
import { shapeNamed } from '../../support/shapes.mjs';
import { initOptions } from '../support/variant.mjs';

const options = JSON.stringify(initOptions);
const size = { batch: 2, height: 8, width: 8, queryDim: 32, contextDim: 24, numHeads: 4, length: 17 };
const megabyte = 2 ** 20;

describe('no memory is in use after dispose', () => {
  const calls = {
    constructor: () => {},
    forward: ({ layer, input, context, options: call }, own) =>
      own(layer.forwardWithContext(input, context, call)),
    'forward with a cached context': ({ layer, input, context }, own) => {
      for (let round = 0; round < 3; ++round) own(layer.forwardWithContext(input, context));
    },
    'training forward, backward and update': ({ layer, input, context, options: call }, own) => {
      layer.training = true;
      own(layer.forwardWithContext(input, context, call));
      own(layer.backward(own(normalTensor(input.shape, 3, { dtype: layer.dtype }))));
      layer.updateParameters(0.1);
    },
    'a training forward without its backward': ({ layer, input, context }, own) => {
      layer.training = true;
      own(layer.forwardWithContext(input, context));
    },
    attentionMaps: ({ layer, input, context, options: call }, own) => {
      own(layer.attentionMaps(input, context, call));
      own(layer.attentionMaps(input, context, { ...call, heads: 'all' }));
    },
    forwardAsync: async ({ layer, input, context, options: call }, own) => {
      own(await layer.forwardAsync(input, context, call));
    },
    'forwardAsync of a disposed layer': async (made, own) => {
      const pending = made.layer.forwardAsync(made.input, made.context);
      made.dispose();
      own(await pending);
    },
    weights: ({ layer }, own) => {
      layer.loadWeights(layer.saveWeights());
      const tensors = layer.getParameterNames().map((name) => [name, own(layer.getParameter(name))]);
      layer.loadWeights(new Map(tensors));
      layer.setParameters(layer.getParameters());
      assert.throws(() => layer.loadWeights(new Uint8Array(9)));
    },
    'calls that fail': ({ layer, input }) => {
      assert.throws(() => layer.forwardWithContext(input, null));
      assert.throws(() => layer.forwardWithContext(input, input));
      assert.throws(() => layer.backward(input));
      assert.throws(() => Tensor.zeros([2 ** 28]));
    },
  };
  for (const [name, call] of Object.entries(calls)) {
    for (const dtype of ['float32', 'float64']) {
      test(`${name}, ${dtype}`, async () => {
        await withCase({ ...size, dtype, mask: keyMask(2, 17, 1) }, async (made, own) => {
          assert.ok(memoryInUse() > 0);
          await call(made, own);
        });
        assert.equal(memoryInUse(), 0);
      });
    }
  }

  test('resetState frees activations and cached contexts', () =>
    withCase(size, ({ layer, input, context }, own) => {
      const gradient = own(normalTensor(input.shape, 3));
      const use = () => {
        layer.training = false;
        layer.forwardWithContext(input, context).dispose();
        layer.training = true;
        layer.forwardWithContext(input, context).dispose();
        layer.backward(gradient).dispose();
      };
      // The first call grows the scratch memory that all layers share.
      use();
      layer.resetState();
      const rest = memoryInUse();
      use();
      assert.ok(memoryInUse() > rest);
      layer.resetState();
      assert.equal(memoryInUse(), rest);
    }));
});

describe('memory use', () => {
  test('of a tensor is the size of its elements', () => {
    const tensors = [Tensor.zeros([10, 10]), Tensor.zeros([10, 10], 'float64')];
    assert.equal(memoryInUse(), 400 + 800);
    tensors.forEach((tensor) => tensor.dispose());
  });

  /** Peak memory of a forward, without its output and the memory in use before the call. */
  function peakBeyondOutput(made, own) {
    own(made.layer.forwardWithContext(made.input, made.context));
    return Number(made.layer.getDiagnostics().forwardPeakBytes) - made.input.size * 4;
  }

  test('of a forward at sd15-64 is at most 4 MB per thread plus input, output and weights', (testContext) =>
    withCase(shapeNamed('sd15-64'), (made, own) => {
      const peak = peakBeyondOutput(made, own);
      testContext.diagnostic(`sd15-64: ${(peak / megabyte).toFixed(2)} MB in addition to the output`);
      assert.ok(peak <= 4 * megabyte * initOptions.threads, `${peak} bytes`);
    }));

  test('of self-attention with 48 × 48 tokens is at most 8 MB plus keys and values', (testContext) =>
    withCase({ ...shapeNamed('self-64'), height: 48, width: 48 }, (made, own) => {
      const keysAndValues = 2 * 48 * 48 * 320 * 4;
      const peak = peakBeyondOutput(made, own) - keysAndValues;
      testContext.diagnostic(`self-attention: ${(peak / megabyte).toFixed(2)} MB plus keys and values`);
      assert.ok(peak <= 8 * megabyte, `${peak} bytes`);
    }));

  test('does not grow with the product of tokens and keys', () => {
    const scratchOf = (height, length) =>
      withCase({ ...size, batch: 1, height, width: 64, length, layout: 'tokens' }, (made, own) => {
        const keysAndValues = 2 * 4 * length * 32;
        const cachedContext = 4 * length * 24;
        return peakBeyondOutput(made, own) - keysAndValues - cachedContext;
      });
    const small = scratchOf(16, 128);
    const large = scratchOf(64, 2048);
    // 64 times as many scores would need 4 MB. Key panels are rounded up; the context is packed block by
    // block.
    assert.ok(large - small < megabyte, `${large} bytes instead of ${small}`);
  });
});

describe('garbage collection', { concurrency: true }, () => {
  test('frees unreachable tensors, layers and their gradients', async () => {
    const { before, after } = await runForValue(
      `
      import { init, memoryInUse, Tensor, DiffusionCrossAttention } from 'diffusion-cross-attention';
      import { setTimeout as sleep } from 'node:timers/promises';
      await init(${options});
      function makeUnreachable() {
        for (let round = 0; round < 10; ++round) {
          const layer = new DiffusionCrossAttention(16, 16, 2, 4);
          layer.training = true;
          const input = Tensor.randn([1, 16, 4, 4]);
          layer.forwardWithContext(input, Tensor.randn([5, 16]));
          layer.backward(input).reshape([-1]).clone();
          void layer.forwardAsync(input, null);
        }
      }
      makeUnreachable();
      const before = memoryInUse();
      for (let round = 0; round < 1000 && memoryInUse() > 0; ++round) {
        await sleep(10);
        globalThis.gc();
      }
      console.log(JSON.stringify({ before, after: memoryInUse() }));`,
      { flags: ['--expose-gc'] },
    );
    assert.ok(before > 0);
    assert.equal(after, 0);
  });

  test('does not free disposed tensors a second time', async () => {
    const sum = await runForValue(
      `
      import { init, memoryInUse, Tensor } from 'diffusion-cross-attention';
      import { setTimeout as sleep } from 'node:timers/promises';
      await init(${options});
      (() => { for (let i = 0; i < 100; ++i) Tensor.zeros([100]).dispose(); })();
      const tensors = Array.from({ length: 100 }, () => Tensor.full([100], 1));
      for (let round = 0; round < 10; ++round) { globalThis.gc(); await sleep(5); }
      const sum = tensors.reduce((total, tensor) => total + tensor.data()[99], 0);
      console.log(JSON.stringify(sum + memoryInUse()));`,
      { flags: ['--expose-gc'] },
    );
    assert.equal(sum, 100 + 100 * 400);
  });

  test('`using` frees at the end of the block', async () => {
    const source = `
      import { init, memoryInUse, Tensor, DiffusionCrossAttention } from 'diffusion-cross-attention';
      await init(${options});
      const counts = [];
      {
        using layer = new DiffusionCrossAttention(8, 8, 2, 1);
        using input = Tensor.zeros([3, 8]);
        using output = layer.forward(input);
        counts.push(memoryInUse() > 0, output.disposed);
      }
      counts.push(memoryInUse());
      console.log(JSON.stringify(counts));`;
    // Node 20 does not support `using`, so esbuild compiles it, as it does for browsers.
    const { outputFiles } = buildSync({
      stdin: { contents: source },
      write: false,
      format: 'esm',
      target: 'es2022',
    });
    assert.deepEqual(await runForValue(outputFiles[0].text), [true, false, 0]);
  });
});

test('tensors and new views are correct after memory growth', () => {
  const tensor = Tensor.from([1, 2, 3], [3]);
  const layer = new DiffusionCrossAttention(4, 4, 1, 1, { seed: 1 });
  const before = tensor.view();
  const bytes = before.buffer.byteLength;
  // Together larger than the current memory.
  const grown = [allocate(bytes / 4), Tensor.full([2 * megabyte], 7)];
  assert.ok(tensor.view().buffer.byteLength > bytes);
  assert.deepEqual([...tensor.view()], [1, 2, 3]);
  assert.deepEqual([...tensor.data()], [1, 2, 3]);
  // The old view is stale, as documented: it is empty if memory is not shared, and never shows another
  // tensor.
  assert.ok(before.length === 0 || before[2] === 3);
  tensor.view()[0] = 9;
  assert.equal(tensor.data()[0], 9);
  assert.equal(grown[1].data()[2 * megabyte - 1], 7);
  assert.equal(layer.getParameters().length, layer.parameterCount);
  for (const owned of [tensor, layer, ...grown]) owned.dispose();
  assert.equal(memoryInUse(), 0);
});

test('1,000 training steps leak no memory', (testContext) => {
  const made = makeCase({ ...size, batch: 1 });
  const { layer, input, context } = made;
  layer.training = true;
  const gradient = normalTensor(input.shape, 3);
  const steps = (count) => {
    for (let step = 0; step < count; ++step) {
      layer.forwardWithContext(input, context).dispose();
      layer.backward(gradient).dispose();
      layer.updateParameters(1e-4);
    }
  };
  steps(100);
  collectGarbage();
  const [inUse, before] = [memoryInUse(), process.memoryUsage()];
  steps(1000);
  collectGarbage();
  const after = process.memoryUsage();
  const grown = (key) => (after[key] - before[key]) / megabyte;
  testContext.diagnostic(
    `rss ${grown('rss').toFixed(1)} MB, array buffers ${grown('arrayBuffers').toFixed(1)} MB growth`,
  );
  assert.equal(memoryInUse(), inUse);
  // 1,000 leaked outputs of 8 KB would be 8 MB; with gradients and activations, several times as much.
  assert.ok(grown('arrayBuffers') < 4, `${grown('arrayBuffers')} MB`);
  assert.ok(grown('rss') < 24, `${grown('rss')} MB`);
  made.dispose();
  gradient.dispose();
  assert.equal(memoryInUse(), 0);
});
