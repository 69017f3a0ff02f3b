// A call computes with the values at the time at which it was made: later changes of parameters, refresh,
// resetState and dispose do not affect it.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import fc from 'fast-check';
import { runs } from '../support/arbitraries.mjs';
import { scoped } from '../support/cases.mjs';
import { assertSameBits } from '../support/compare.mjs';
import { assertRejects } from '../support/errors.mjs';
import { isFullRun } from '../support/full_run.mjs';
import { play, programs } from '../support/moments.mjs';
import {
  ArgumentError,
  compile,
  DiffusionCrossAttention,
  DisposedError,
  memoryInUse,
  ShapeError,
  Tensor,
} from '../support/package.mjs';

afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaks memory'));

test('random programs', () =>
  fc.assert(
    fc.asyncProperty(programs(), (program) =>
      scoped((own) => play(program, { own, compare: assertSameBits })),
    ),
    runs(isFullRun ? 1000 : 100),
  ));

describe('queued runs of a compiled graph', () => {
  const withRuns = (work) =>
    scoped(async (own) => {
      const layer = own(new DiffusionCrossAttention(32, 24, 4, 32, { seed: 1 }));
      const input = own(Tensor.randn([2, 32, 32, 32], { seed: 2 }));
      const context = own(Tensor.randn([2, 9, 24], { seed: 3 }));
      const nodes = [];
      const output = layer.exportComputationGraph(nodes);
      const constants = new Map([[nodes[1], context]]);
      const inputShapes = [input.shape, context.shape];
      const graph = own(await compile(output, nodes, { inputShapes, constants }));
      const expected = own(graph.run(input)).data();
      const bias = own(Tensor.full([32], 5));
      await work({ layer, graph, input, bias, own, run: () => graph.runAsync(input) }, async (results) => {
        for (const result of results) assertSameBits(own(await result).data(), expected, 'output');
      });
    });

  test('a change of the parameters: runs before it have the old ones, runs after it are refused', () =>
    withRuns(async ({ layer, bias, run, own }, assertOld) => {
      const before = [run(), run(), run(), run()];
      layer.setParameter('to_out.0.bias', bias);
      await assertRejects(run, ArgumentError, 'refresh()');
      await assertOld(before);
      await assertRejects(async () => own(await run()), ArgumentError, 'refresh()');
    }));

  test('refresh', () =>
    withRuns(async ({ layer, graph, input, bias, run, own }, assertOld) => {
      const before = [run(), run(), run()];
      layer.setParameter('to_out.0.bias', bias);
      graph.refresh();
      const after = [run(), run()];
      const changed = own(graph.run(input)).data();
      await assertOld(before);
      for (const result of after) assertSameBits(own(await result).data(), changed, 'output');
    }));

  test('dispose of the graph, its layer and its inputs', () =>
    withRuns(async ({ layer, graph, input, run }, assertOld) => {
      const before = [run(), run(), run()];
      for (const owner of [input, graph, layer]) owner.dispose();
      await assertRejects(run, DisposedError, 'CompiledGraph');
      await assertOld(before);
    }));

  test('a refused run does not affect those before and after it', () =>
    withRuns(async ({ graph, input, run, own }, assertOld) => {
      const wrong = own(Tensor.zeros([1, 32, 32, 32]));
      const before = run();
      await assertRejects(() => graph.runAsync(wrong), ShapeError, "input 'input'");
      await assertRejects(() => graph.runAsync(), ArgumentError, 'inputs');
      await assertOld([before, run(), graph.runAsync(input)]);
    }));
});

test('backward belongs to the last training forward that was called', () =>
  scoped(async (own) => {
    const layer = own(new DiffusionCrossAttention(32, 24, 4, 8, { seed: 1 }));
    const [first, second] = [1, 2].map((seed) => own(Tensor.randn([2, 32, 24, 24], { seed })));
    const context = own(Tensor.randn([2, 9, 24], { seed: 3 }));
    layer.training = true;
    own(layer.forwardWithContext(second, context));
    const expected = own(layer.backward(first)).data();
    const slow = layer.forwardAsync(first, context);
    own(layer.forwardWithContext(second, context));
    own(await slow);
    assertSameBits(own(layer.backward(first)).data(), expected, 'gradient');
    const forgotten = layer.forwardAsync(first, context);
    layer.resetState();
    own(await forgotten);
    await assertRejects(() => layer.backwardAsync(first), ArgumentError, 'without a training forward');
  }));
