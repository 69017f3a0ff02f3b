// Tests of the package's calls with WebGPU: results, their location, explain(), and errors.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import fc from 'fast-check';
import {
  ArgumentError,
  compile,
  devices,
  DiffusionCrossAttention,
  DisposedError,
  gpuMemoryInUse,
  memoryInUse,
  runtimeInfo,
  synchronize,
  Tensor,
} from '../support/webgpu_package.mjs';
import { layerCase, runs } from '../support/arbitraries.mjs';
import { normalTensor, scoped, withCase } from '../support/cases.mjs';
import { assertClose, maximumMagnitude } from '../support/compare.mjs';
import { assertRejects, assertThrows } from '../support/errors.mjs';
import { assertNoUncapturedErrors, counts, settle } from '../support/webgpu.mjs';

const assertNear = (actual, expected, name) =>
  assertClose(actual, expected, 1e-4 * maximumMagnitude(expected), name);

/** A layer with 32 channels, 4 heads and contextDim 24, and matching tensors. */
function smallCall(own) {
  return {
    layer: own(new DiffusionCrossAttention(32, 24, 4, 8, { seed: 1 })),
    input: own(Tensor.randn([2, 32, 6, 6], { seed: 2 })),
    context: own(Tensor.randn([2, 9, 24], { seed: 3 })),
    outputGradient: own(Tensor.randn([2, 32, 6, 6], { seed: 4 })),
  };
}

test('init returns the device', () => {
  assert.match(runtimeInfo.webgpu, /swiftshader/i);
  assert.equal(runtimeInfo.device, 'webgpu');
  assert.equal(devices.length, 1);
});

describe('forwardAsync and backwardAsync', () => {
  test('random shapes give the results of WebAssembly', () =>
    fc.assert(
      fc.asyncProperty(layerCase('float32', { maxCost: 50_000 }), (description) =>
        withCase(description, async ({ layer, input, context, options }, own) => {
          layer.training = true;
          const expected = own(layer.forwardWithContext(input, context, options));
          const outputGradient = own(normalTensor(input.shape, description.seed + 9));
          const inputGradient = own(layer.backward(outputGradient));
          const expectedParameters = layer.getParameterGradients();
          const expectedContext = layer.contextGradient?.data() ?? null;
          layer.clearGradients();

          const output = own(await layer.forwardAsync(input, context, options));
          assert.match(layer.explain(), /^webgpu: .*; wasm: .* ms .* MFLOP.*; webgpu: .* ms .* MB/);
          assert.deepEqual(output.shape, input.shape);
          assertNear(output.data(), expected.data(), 'output');
          const actual = own(await layer.backwardAsync(outputGradient));
          assert.match(layer.explain(), /^webgpu: .*forward/);
          // If terms cancel, rounding errors remain that are relative to the terms.
          const scale = Math.max(
            maximumMagnitude(inputGradient.data()),
            1e-2 * maximumMagnitude(expectedParameters),
          );
          assertClose(actual.data(), inputGradient.data(), 1e-4 * scale, 'input gradient');
          assertNear(layer.getParameterGradients(), expectedParameters, 'parameter gradients');
          if (context === null) assert.equal(layer.contextGradient, null);
          else assertNear(layer.contextGradient.data(), expectedContext, 'context gradient');
        }),
      ),
      runs(25),
    ));

  test('gradients accumulate; backward after a GPU forward equals backwardAsync', () =>
    scoped(async (own) => {
      const { layer, input, context, outputGradient } = smallCall(own);
      layer.training = true;
      for (let time = 0; time < 2; ++time) {
        own(await layer.forwardAsync(input, context));
        own(await layer.backwardAsync(outputGradient));
      }
      const twice = layer.getParameterGradients();
      layer.clearGradients();
      own(await layer.forwardAsync(input, context));
      own(layer.backward(outputGradient));
      assertNear(
        twice,
        layer.getParameterGradients().map((value) => 2 * value),
        'gradients',
      );
    }));

  test('uses changed parameters; backward after a change throws ArgumentError', () =>
    scoped(async (own) => {
      const { layer, input, context, outputGradient } = smallCall(own);
      own(await layer.forwardAsync(input, context));
      layer.setParameters(layer.getParameters().map((value) => value / 2));
      const expected = own(layer.forwardWithContext(input, context)).data();
      assertNear(own(await layer.forwardAsync(input, context)).data(), expected, 'output');
      layer.training = true;
      own(await layer.forwardAsync(input, context));
      layer.setParameters(layer.getParameters());
      await assertRejects(() => layer.backwardAsync(outputGradient), ArgumentError, 'training forward');
    }));

  test('training steps on the GPU', () =>
    scoped(async (own) => {
      const { layer, input, context, outputGradient } = smallCall(own);
      const twin = own(new DiffusionCrossAttention(32, 24, 4, 8, { seed: 1 }));
      for (const trained of [layer, twin]) trained.training = true;
      for (let step = 0; step < 3; ++step) {
        own(await layer.forwardAsync(input, context));
        own(await layer.backwardAsync(outputGradient));
        own(twin.forwardWithContext(input, context));
        own(twin.backward(outputGradient));
        for (const trained of [layer, twin]) trained.updateParameters(1e-3);
      }
      assertNear(layer.getParameters(), twin.getParameters(), 'parameters');
    }));

  test('tensors and the layer may be disposed during a call, without a leak', () =>
    scoped(async (own) => {
      const { layer, input, context } = smallCall(own);
      const expected = own(layer.forwardWithContext(input, context)).data();
      const before = counts.alive;
      for (const training of [false, true]) {
        const other = new DiffusionCrossAttention(32, 24, 4, 8, { seed: 1 });
        other.training = training;
        const tensors = [input.clone(), context.clone()];
        const running = [1, 2].map(() => other.forwardAsync(...tensors));
        for (const owner of [other, ...tensors]) owner.dispose();
        for (const output of await Promise.all(running)) assertNear(own(output).data(), expected, 'output');
        await settle();
        assert.equal(counts.alive, before);
      }
    }));

  test("backwardAsync with device 'wasm' after a forward of a GPU tensor", () =>
    scoped(async (own) => {
      const { layer, input, context, outputGradient } = smallCall(own);
      const resident = own(await input.to('webgpu'));
      layer.training = true;
      own(layer.forwardWithContext(input, context));
      const expected = own(layer.backward(outputGradient)).data();
      own(await layer.forwardAsync(resident, context));
      assertThrows(() => layer.backward(outputGradient), ArgumentError, 'backwardAsync');
      const found = own(await layer.backwardAsync(outputGradient, { device: 'wasm', location: 'webgpu' }));
      assert.equal(found.location, 'webgpu');
      assertNear(await found.dataAsync(), expected, 'input gradient');
    }));

  test('float64 runs in WebAssembly', () =>
    scoped(async (own) => {
      const layer = own(new DiffusionCrossAttention(8, 8, 2, 4, { dtype: 'float64', seed: 1 }));
      const input = own(Tensor.randn([4, 8], { seed: 2, dtype: 'float64' }));
      const output = own(await layer.forwardAsync(input, null, { device: 'webgpu' }));
      assert.equal(output.dtype, 'float64');
      assert.match(layer.explain(), /^wasm: float64/);
    }));
});

describe('the location of results', () => {
  for (const inputLocation of ['wasm', 'webgpu']) {
    for (const device of ['wasm', 'webgpu']) {
      test(`input in ${inputLocation}, device ${device}`, () =>
        scoped(async (own) => {
          const { layer, input, context, outputGradient } = smallCall(own);
          const expected = own(layer.forwardWithContext(input, context)).data();
          const located = own(await input.to(inputLocation));
          const locatedGradient = own(await outputGradient.to(inputLocation));
          const check = async (output, location) => {
            assert.equal(own(output).location, location);
            assertNear(await output.dataAsync(), expected, 'output');
          };
          await check(await layer.forwardAsync(located, context, { device }), inputLocation);
          for (const location of ['wasm', 'webgpu']) {
            await check(await layer.forwardAsync(located, context, { device, location }), location);
          }
          layer.training = true;
          for (const location of [undefined, 'wasm', 'webgpu']) {
            own(await layer.forwardAsync(located, context, { device }));
            const gradient = own(await layer.backwardAsync(locatedGradient, { device, location }));
            assert.equal(gradient.location, location ?? inputLocation);
          }
        }));
    }
  }

  test('masks and a context on the GPU', () =>
    scoped(async (own) => {
      const { layer, input, context } = smallCall(own);
      const values = new Array(18).fill(0).map((_, index) => Number(index % 3 === 0));
      const mask = own(Tensor.from(values, [2, 9]));
      const additive = own(
        Tensor.from(
          values.map((value) => (value ? 0 : -Infinity)),
          [2, 1, 1, 9],
        ),
      );
      const expected = own(layer.forwardWithContext(input, context, { mask })).data();
      const gpuContext = own(await context.to('webgpu'));
      const gpuMask = own(await additive.to('webgpu'));
      for (const anyMask of [mask, additive, gpuMask]) {
        const output = own(await layer.forwardAsync(input, gpuContext, { mask: anyMask }));
        assertNear(output.data(), expected, 'output');
      }
    }));
});

describe('compiled graphs', () => {
  const graphOf = async (layer, shapes, options, constant) => {
    const inputs = [];
    const output = layer.exportComputationGraph(inputs);
    const constants = constant ? new Map([[inputs[1], constant]]) : new Map();
    return compile(output, inputs, { inputShapes: shapes, constants, ...options });
  };

  for (const association of ['plain', 'folded', 'auto']) {
    test(`runAsync with a constant context, ${association}`, () =>
      scoped(async (own) => {
        const { layer, input, context } = smallCall(own);
        const expected = own(layer.forwardWithContext(input, context)).data();
        const graph = own(await graphOf(layer, [input.shape, context.shape], { association }, context));
        for (let time = 0; time < 2; ++time)
          assertNear(own(await graph.runAsync(input)).data(), expected, 'output');
        assert.match(graph.explain(), /^webgpu: /);
        const output = own(await graph.runAsync(own(await input.to('webgpu'))));
        assert.equal(output.location, 'webgpu');
        assertNear(await output.dataAsync(), expected, 'output');

        layer.setParameters(layer.getParameters().map((value) => value / 2));
        await assertRejects(() => graph.runAsync(input), ArgumentError, 'refresh');
        graph.refresh();
        const refreshed = own(layer.forwardWithContext(input, context)).data();
        assertNear(own(await graph.runAsync(input)).data(), refreshed, 'after refresh');
      }));
  }

  test('concurrent first runs, also with dispose or refresh during the runs', () =>
    scoped(async (own) => {
      const { layer, input, context } = smallCall(own);
      const expected = own(layer.forwardWithContext(input, context)).data();
      const before = counts.alive;
      for (const method of [null, 'dispose', 'refresh']) {
        const graph = await graphOf(layer, [input.shape, context.shape], {}, context);
        const running = [1, 2].map(() => graph.runAsync(input));
        if (method !== null) graph[method]();
        for (const output of await Promise.all(running)) assertNear(own(output).data(), expected, method);
        graph.dispose();
        await settle();
        assert.equal(counts.alive, before, method);
      }
    }));

  test("device 'wasm', and a context that is not constant", () =>
    scoped(async (own) => {
      const { layer, input, context } = smallCall(own);
      const expected = own(layer.forwardWithContext(input, context)).data();
      const graph = own(await graphOf(layer, [input.shape, context.shape], {}));
      assertNear(own(await graph.runAsync(input, context)).data(), expected, 'output');
      assert.match(graph.explain(), /^webgpu/);
      const inWasm = own(await graphOf(layer, [input.shape, context.shape], { device: 'wasm' }, context));
      assertNear(own(await inWasm.runAsync(input)).data(), expected, 'output');
      assert.match(inWasm.explain(), /^wasm: /);
    }));
});

describe('errors', () => {
  const outcomeOf = async (work) => {
    try {
      return { result: await work() };
    } catch (error) {
      return { error };
    }
  };

  test('for invalid shapes have the class and message of the core', () =>
    scoped(async (own) => {
      const { layer, input, context } = smallCall(own);
      const tensor = (...shape) => own(Tensor.zeros(shape));
      const masked = (mask) => [input, context, { mask }];
      const halves = own(Tensor.full([2, 9], 0.5));
      for (const args of [
        [tensor(2, 31, 6, 6), context],
        [tensor(2, 6, 6, 32), context],
        [tensor(32), context],
        [tensor(2, 2, 32, 3, 3), context],
        [input, tensor(2, 9, 25)],
        [input, tensor(3, 9, 24)],
        [input, tensor(24)],
        [input, tensor(1, 2, 9, 24)],
        [input, null],
        masked(tensor(2, 8)),
        masked(tensor(3, 9)),
        masked(tensor(9)),
        masked(tensor(2, 9, 9)),
        masked(tensor(2, 4, 36, 8)),
        masked(tensor(2, 3, 36, 9)),
        masked(tensor(2, 4, 36, 1)),
        masked(halves),
        masked(own(Tensor.zeros([2, 4, 36, 9], 'float64'))),
      ]) {
        const core = await outcomeOf(() => layer.forwardWithContext(...args));
        const gpu = await outcomeOf(() => layer.forwardAsync(...args));
        const shapes = JSON.stringify(args.map((arg) => arg?.shape ?? arg?.mask?.shape));
        assert.ok(core.error, shapes);
        assert.equal(gpu.error?.constructor, core.error.constructor, `${shapes}: ${core.error.message}`);
        assert.equal(gpu.error.message, core.error.message);
      }
      layer.training = true;
      const wrong = tensor(2, 36, 32);
      own(await layer.forwardAsync(input, context));
      const gpu = await outcomeOf(() => layer.backwardAsync(wrong));
      own(layer.forwardWithContext(input, context));
      const core = await outcomeOf(() => layer.backward(wrong));
      assert.equal(gpu.error?.message, core.error.message);
    }));

  test('for invalid arguments name the argument', () =>
    scoped(async (own) => {
      const { layer, input, context } = smallCall(own);
      const resident = own(await input.to('webgpu'));
      const disposed = Tensor.zeros([2, 9, 24]);
      disposed.dispose();
      await assertRejects(() => layer.forwardAsync({}, context), ArgumentError, 'input');
      await assertRejects(() => layer.forwardAsync(input, disposed), DisposedError, 'context');
      await assertRejects(
        () => layer.forwardAsync(input, context, { device: 'gpu' }),
        ArgumentError,
        'device',
        'gpu',
      );
      await assertRejects(
        () => layer.forwardAsync(input, context, { location: 1 }),
        ArgumentError,
        'location',
      );
      await assertRejects(() => layer.forwardAsync(input, context, { mask: 1 }), ArgumentError, 'mask');
      await assertRejects(() => layer.backwardAsync(3), ArgumentError, 'outputGradient');
      assertThrows(
        () => layer.forwardWithContext(resident, context),
        ArgumentError,
        'input',
        'GPU memory',
        /to\(.wasm.\)/,
      );
      assertThrows(() => layer.attentionMaps(resident, context), ArgumentError, 'input', 'GPU memory');
      assertThrows(() => resident.data(), ArgumentError, 'GPU memory', 'dataAsync');
      assertThrows(() => resident.view(), ArgumentError, 'GPU memory', 'dataAsync');
    }));
});

after(async () => {
  await synchronize();
  await settle();
  assert.equal(memoryInUse(), 0);
  assert.deepEqual(gpuMemoryInUse(), { buffers: 0, bytes: 0 });
  assert.equal(counts.alive, 0);
  assertNoUncapturedErrors();
});
