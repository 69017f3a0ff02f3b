// Tests of forwardAsync: it returns the same bits as forward, does not block the event loop and is not
// affected by changes after the call.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { runForValue, runScript } from '../support/child.mjs';
import { keyMask, makeCase, normalTensor, scoped, withCase } from '../support/cases.mjs';
import { assertSameBits } from '../support/compare.mjs';
import { assertRejects } from '../support/errors.mjs';
import {
  AdamOptimizer,
  ArgumentError,
  DiffusionCrossAttention,
  DisposedError,
  memoryInUse,
  OutOfMemoryError,
  ShapeError,
  Tensor,
} from '../support/package.mjs';
import { shapeNamed } from '../../support/shapes.mjs';
import { threadMilliseconds } from '../support/thread_time.mjs';
import { initOptions } from '../support/variant.mjs';

afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaks memory'));

const size = { batch: 2, height: 16, width: 16, queryDim: 64, contextDim: 48, numHeads: 4, length: 33 };

describe('returns the same bits as forward', () => {
  const cases = {
    image: {},
    tokens: { layout: 'tokens' },
    'self-attention': { contextDim: 64, length: null },
    'key mask': { mask: keyMask(2, 33, 1, { ignored: [1] }) },
    float64: { dtype: 'float64' },
    tiny: shapeNamed('tiny'),
    'sd15-32': shapeNamed('sd15-32'),
  };
  for (const [name, extra] of Object.entries(cases)) {
    test(name, () =>
      withCase({ ...size, ...extra }, async ({ layer, input, context, options }, own) => {
        const output = own(await layer.forwardAsync(input, context, options));
        assert.deepEqual(output.shape, input.shape);
        assert.equal(output.dtype, layer.dtype);
        assertSameBits(
          output.data(),
          own(layer.forwardWithContext(input, context, options)).data(),
          'output',
        );
      }),
    );
  }

  test('concurrent calls of one layer and of several layers', () =>
    scoped(async (own) => {
      const cases = [1, 2, 3].map((seed) => own(makeCase({ ...size, seed })));
      const contexts = [4, 5].map((seed) => own(normalTensor([2, 33, 48], seed)));
      const calls = cases.flatMap(({ layer, input }) => contexts.map((context) => [layer, input, context]));
      const twice = [...calls, ...calls];
      const outputs = await Promise.all(
        twice.map(async ([layer, input, context]) => own(await layer.forwardAsync(input, context))),
      );
      twice.forEach(([layer, input, context], index) => {
        const expected = own(layer.forwardWithContext(input, context)).data();
        assertSameBits(outputs[index].data(), expected, `call ${index}`);
      });
    }));

  test('with calls of forward, backward and attentionMaps in between', () =>
    withCase(size, async ({ layer, input, context }, own) => {
      const gradient = own(normalTensor(input.shape, 9));
      layer.training = true;
      const expected = own(layer.forwardWithContext(input, context)).data();
      const expectedBack = own(layer.backward(gradient)).data();
      const pending = [layer.forwardAsync(input, context), layer.forwardAsync(input, context)];
      assertSameBits(own(layer.forwardWithContext(input, context)).data(), expected, 'forward');
      assertSameBits(own(layer.backward(gradient)).data(), expectedBack, 'backward');
      own(layer.attentionMaps(input, context));
      for (const output of await Promise.all(pending))
        assertSameBits(own(output).data(), expected, 'forwardAsync');
    }));
});

describe('does not block the caller', () => {
  test('timers fire during a large forward', (testContext) =>
    withCase({ ...shapeNamed('self-64'), height: 48, width: 48 }, async ({ layer, input }, own) => {
      const start = threadMilliseconds();
      own(layer.forward(input));
      const synchronous = threadMilliseconds() - start;

      let longest = 0;
      let turns = 0;
      let last = threadMilliseconds();
      const turn = () => {
        const now = threadMilliseconds();
        longest = Math.max(longest, now - last);
        last = now;
        ++turns;
      };
      const timer = setInterval(turn, 1);
      const called = threadMilliseconds();
      const pending = layer.forwardAsync(input, null);
      const returned = threadMilliseconds() - called;
      own(await pending);
      turn();
      clearInterval(timer);

      testContext.diagnostic(
        `CPU time of the thread: forward ${synchronous.toFixed(0)} ms; forwardAsync returns after ` +
          `${returned.toFixed(1)} ms, the longest of ${turns} turns takes ${longest.toFixed(1)} ms`,
      );
      // A time slice lasts 6 ms plus the rest of its last tile.
      const allowed = Math.max(60, synchronous / 4);
      assert.ok(longest < allowed, `a turn takes ${longest} ms of CPU time, a forward ${synchronous} ms`);
      assert.ok(returned < allowed, `the call itself takes ${returned} ms of CPU time`);
      assert.ok(turns > 5, `${turns} turns`);
    }));

  test('the promise resolves after the caller returns', () =>
    withCase(shapeNamed('tiny'), async ({ layer, input, context }, own) => {
      const order = [];
      const pending = layer.forwardAsync(input, context).then((output) => {
        own(output);
        order.push('result');
      });
      order.push('caller');
      await pending;
      assert.deepEqual(order, ['caller', 'result']);
    }));
});

describe('is not affected by changes after the call', () => {
  const compare = (change) =>
    withCase(size, async (made, own) => {
      const { layer, input, context } = made;
      const expected = own(layer.forwardWithContext(input, context)).data();
      layer.resetState();
      const pending = layer.forwardAsync(input, context);
      change(made, own);
      assertSameBits(own(await pending).data(), expected, 'output');
    });

  test('disposed input and context', () =>
    compare(({ input, context }) => {
      input.dispose();
      context.dispose();
      // Their memory must not be reused yet.
      Tensor.full([2, 64, 16, 16], 5).dispose();
    }));
  test('disposed mask', () =>
    withCase({ ...size, mask: keyMask(2, 33, 1) }, async ({ layer, input, context, options }, own) => {
      const expected = own(layer.forwardWithContext(input, context, options)).data();
      layer.resetState();
      const pending = layer.forwardAsync(input, context, options);
      options.mask.dispose();
      assertSameBits(own(await pending).data(), expected, 'output');
    }));
  test('disposed layer', () => compare(({ layer }) => layer.dispose()));
  test('everything disposed', () =>
    compare((made) => {
      made.dispose();
      Tensor.full([2, 64, 16, 16], 5).dispose();
    }));

  const parameterChanges = {
    setParameters: (layer) => layer.setParameters(new Float32Array(layer.parameterCount)),
    setParameter: (layer, own) => layer.setParameter('to_v.weight', own(Tensor.zeros([64, 48]))),
    updateParameters: (layer) => layer.updateParameters(1),
    'AdamOptimizer.step': (layer, own) => own(new AdamOptimizer(layer, { weightDecay: 100 })).step(),
    loadWeights: (layer, own) => {
      const other = own(new DiffusionCrossAttention(64, 48, 4, 16, { seed: 77 }));
      layer.loadWeights(other.saveWeights());
    },
    resetState: (layer) => layer.resetState(),
    'training = true': (layer) => (layer.training = true),
  };
  for (const [name, change] of Object.entries(parameterChanges)) {
    test(`${name} after the call has no effect`, () => compare(({ layer }, own) => change(layer, own)));
    test(`${name} before the call has an effect`, () =>
      withCase(size, async ({ layer, input, context }, own) => {
        change(layer, own);
        const pending = layer.forwardAsync(input, context);
        const output = own(await pending).data();
        assertSameBits(own(layer.forwardWithContext(input, context)).data(), output, 'output');
      }));
  }
});

describe('rejects', () => {
  test('invalid arguments, without a memory leak', () =>
    withCase(size, async ({ layer, input, context }, own) => {
      const wide = own(Tensor.zeros([5, 64], 'float64'));
      const wrongContext = own(Tensor.zeros([3, 33, 48]));
      const inUse = memoryInUse();
      for (const wrong of [null, undefined, 5, {}, new Float32Array(64)]) {
        await assertRejects(() => layer.forwardAsync(wrong, context), ArgumentError, 'input', 'a Tensor');
      }
      await assertRejects(() => layer.forwardAsync(wide, context), ArgumentError, 'input', 'float64');
      await assertRejects(() => layer.forwardAsync(context, context), ShapeError, 'input', '[2, 33, 48]');
      await assertRejects(
        () => layer.forwardAsync(input, wrongContext),
        ShapeError,
        'context',
        '[3, 33, 48]',
      );
      await assertRejects(() => layer.forwardAsync(input, null), ShapeError, 'context', 'null');
      await assertRejects(() => layer.forwardAsync(input, context, { mask: 5 }), ArgumentError, 'mask');
      await assertRejects(() => layer.forwardAsync(input, context, 5), ArgumentError, 'options');
      assert.ok(memoryInUse() <= inUse + 4 * 2 * 64 * 64 * 2, 'at most the packed weights were allocated');
    }));

  test('disposed tensors and a disposed layer', () =>
    withCase(size, async ({ layer, input, context }) => {
      const disposed = Tensor.zeros([2, 64, 16, 16]);
      disposed.dispose();
      await assertRejects(() => layer.forwardAsync(disposed, context), DisposedError, 'input');
      await assertRejects(() => layer.forwardAsync(input, disposed), DisposedError, 'context');
      const withDisposedMask = () => layer.forwardAsync(input, context, { mask: disposed });
      await assertRejects(withDisposedMask, DisposedError, 'mask');
      layer.dispose();
      await assertRejects(() => layer.forwardAsync(input, context), DisposedError, 'DiffusionCrossAttention');
    }));

  test('if memory runs out, and the layer remains usable', () =>
    scoped(async (own) => {
      const layer = own(new DiffusionCrossAttention(2048, 1, 1, 1, { seed: 1 }));
      // A small context needs much memory: the keys are 2048 times as large. (The output is only as large as
      // the input.)
      const input = own(Tensor.zeros([1, 2048]));
      const context = own(Tensor.zeros([2_000_000, 1]));
      await assertRejects(() => layer.forwardAsync(input, context), OutOfMemoryError);
      own(await layer.forwardAsync(input, own(Tensor.zeros([2, 1]))));
    }));
});

describe('does not keep the process alive', () => {
  const initialize = `
    import { init, Tensor, DiffusionCrossAttention } from 'diffusion-cross-attention';
    await init(${JSON.stringify(initOptions)});`;
  const load = `${initialize}
    const layer = new DiffusionCrossAttention(64, 64, 4, 16);
    const input = Tensor.randn([1, 64, 16, 16]);`;
  const scripts = {
    'after init': initialize,
    'if nothing is disposed': `${load} await layer.forwardAsync(input, null);`,
    'if everything is disposed': `${load}
      (await layer.forwardAsync(input, null)).dispose(); layer.dispose(); input.dispose();`,
    'with a forwardAsync that is not awaited': `${load} void layer.forwardAsync(input, null);`,
    'after a forwardAsync that failed': `${load} await layer.forwardAsync(input, input).catch(() => {});`,
  };
  for (const [name, source] of Object.entries(scripts)) {
    test(name, async () => {
      const { code, errors, seconds } = await runScript(source);
      assert.equal(code, 0, `exited with ${code ?? 'a timeout'} after ${seconds} s\n${errors}`);
    });
  }

  test('but waits for a result that is awaited', async () => {
    const outputSize = await runForValue(`${load}
      const output = await layer.forwardAsync(input, null);
      console.log(JSON.stringify(output.size));`);
    assert.equal(outputSize, 64 * 256);
  });
});
