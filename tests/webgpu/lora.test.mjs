// LoRAs on the GPU: calls compute with the effective weights.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import {
  compile,
  DiffusionCrossAttention,
  gpuMemoryInUse,
  memoryInUse,
  Tensor,
} from '../support/webgpu_package.mjs';
import { scoped } from '../support/cases.mjs';
import { assertClose, maximumMagnitude } from '../support/compare.mjs';
import { assertNoUncapturedErrors, counts, settle } from '../support/webgpu.mjs';

const assertNear = (actual, expected, name) =>
  assertClose(actual, expected, 1e-4 * maximumMagnitude(expected), name);

test('forward, backward and compiled graphs with scales that change', () =>
  scoped(async (own) => {
    const device = 'webgpu';
    const layer = own(new DiffusionCrossAttention(32, 24, 4, 8, { seed: 1 }));
    const input = own(Tensor.randn([2, 32, 6, 6], { seed: 2 }));
    const context = own(Tensor.randn([2, 9, 24], { seed: 3 }));
    const gradient = own(Tensor.randn([2, 32, 6, 6], { seed: 4 }));
    const nodes = [];
    const output = layer.exportComputationGraph(nodes);
    const constants = new Map([[nodes[1], context]]);
    const shapes = { inputShapes: [input.shape, context.shape], constants, device };
    const graph = own(await compile(output, nodes, shapes));
    const before = own(await layer.forwardAsync(input, context, { device })).data();
    layer.loadLora('a', {
      'to_k.lora_A.weight': own(Tensor.randn([2, 24], { seed: 5 })),
      'to_k.lora_B.weight': own(Tensor.randn([32, 2], { seed: 6 })),
      'to_out.0.lora_A.weight': own(Tensor.randn([3, 32], { seed: 7 })),
      'to_out.0.lora_B.weight': own(Tensor.randn([32, 3], { seed: 8 })),
    });
    layer.training = true;
    for (const a of [1, -0.5]) {
      layer.setLoraScales({ a });
      const expected = own(layer.forwardWithContext(input, context)).data();
      const expectedInput = own(layer.backward(gradient)).data();
      const expectedContext = layer.contextGradient.data();
      const expectedParameters = layer.getParameterGradients();
      layer.clearGradients();
      const actual = own(await layer.forwardAsync(input, context, { device }));
      assert.match(layer.explain(), /^webgpu: /);
      assertNear(actual.data(), expected, 'output');
      assertNear(
        own(await layer.backwardAsync(gradient, { device })).data(),
        expectedInput,
        'input gradient',
      );
      assertNear(layer.contextGradient.data(), expectedContext, 'context gradient');
      assertNear(layer.getParameterGradients(), expectedParameters, 'parameter gradients');
      layer.clearGradients();
      graph.refresh();
      assertNear(own(await graph.runAsync(input)).data(), expected, 'compiled graph');
      // A call in progress keeps its weights.
      const call = layer.forwardAsync(input, context, { device });
      layer.setLoraScales({ a: 0 });
      assertNear(own(await call).data(), expected, 'call in progress');
    }
    layer.removeLora('a');
    assertNear(own(await layer.forwardAsync(input, context, { device })).data(), before, 'after removal');
  }));

after(async () => {
  await settle();
  assert.equal(memoryInUse(), 0, 'the test leaves memory in use');
  assert.deepEqual([gpuMemoryInUse().buffers, counts.alive], [0, 0], 'the test leaves GPU memory in use');
  assertNoUncapturedErrors();
});
