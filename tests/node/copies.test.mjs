// Copies of the caller's numbers to WASM memory, whose growth detaches views of it if there is one thread.
// The tests run in child processes because WebAssembly memory never shrinks.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { runForValue } from '../support/child.mjs';
import { initOptions } from '../support/variant.mjs';

const load = (threads) => `
  import * as attention from 'diffusion-cross-attention';
  const { init, memoryInUse, ArgumentError, CrossAttentionError, Tensor } = attention;
  const { DiffusionCrossAttention } = attention;
  await init({ ...${JSON.stringify(initOptions)}, threads: ${threads} });
  // Half of the initial memory: a copy makes it grow.
  const elements = 2 ** 21;
  const tensor = Tensor.full([elements], 1.5);
  const report = (value) => console.log(JSON.stringify(value));
  /** True if work(view) grew the memory and did not fail. */
  const grows = (view, work) => {
    const before = tensor.view().buffer.byteLength;
    work(view);
    return tensor.view().buffer.byteLength > before;
  };`;

describe('copies of views of WASM memory', () => {
  for (const threads of [1, 2]) {
    test(`Tensor.from copies a view while the memory grows, threads: ${threads}`, async () => {
      const values = await runForValue(`${load(threads)}
        class Own extends Float32Array { constructor() { super(1); } }
        const values = [];
        const kept = [];
        const copy = (view) => {
          const copied = Tensor.from(view, [view.length]);
          kept.push(copied);
          const data = copied.data();
          values.push([data.length, data[0], data.at(-1), data.every((value) => value === data[0])]);
        };
        // Copies until the memory grows; the last of the values are those of the copy that grew it.
        const copyUntilGrown = (makeView) => {
          while (!grows(makeView(), copy));
          return values.at(-1);
        };
        const found = [
          copyUntilGrown(() => tensor.view()),
          copyUntilGrown(() => Object.setPrototypeOf(tensor.view(), Own.prototype)),
          copyUntilGrown(() => {
            const { buffer, byteOffset } = tensor.view();
            return new Uint32Array(buffer, byteOffset, elements);
          }),
        ];
        report(found);`);
      const [count, bits] = [2 ** 21, new Uint32Array(Float32Array.of(1.5).buffer)[0]];
      assert.deepEqual(values, [
        [count, 1.5, 1.5, true],
        [count, 1.5, 1.5, true],
        [count, bits, bits, true],
      ]);
    });

    test(`setParameters and loadWeights read a view while memory grows, threads: ${threads}`, async () => {
      const same = await runForValue(`${load(threads)}
        const layer = new DiffusionCrossAttention(512, 512, 8, 8, { seed: 1 });
        const expected = layer.getParameters();
        const file = layer.saveWeights();
        const inWasm = (bytes) => {
          const copy = Tensor.zeros([bytes.length / 4]);
          const view = () => new Uint8Array(copy.view().buffer, copy.view().byteOffset, bytes.length);
          view().set(bytes);
          return view;
        };
        const parameters = Tensor.from(expected, [expected.length]);
        const padded = new Uint8Array(Math.ceil(file.length / 4) * 4);
        padded.set(file);
        const fileView = inWasm(padded);
        const ones = Tensor.full([512], 1);
        // Reduces the free memory by steps of 1 MB until the call, which needs 4 MB, makes it grow.
        const kept = [];
        const growing = (work) => {
          for (;;) {
            // Changes parameters without an allocation.
            layer.setParameter('to_out.0.bias', ones);
            const isGrown = grows(null, work);
            if (!layer.getParameters().every((value, index) => value === expected[index])) return false;
            if (isGrown) return true;
            kept.push(Tensor.zeros([2 ** 18]));
          }
        };
        report([
          growing(() => layer.setParameters(parameters.view())),
          growing(() => layer.loadWeights(fileView().subarray(0, file.length))),
        ]);`);
      assert.deepEqual(same, [true, true]);
    });
  }

  test('a view that growth detached is refused by name', async () => {
    const result = await runForValue(`${load(1)}
      const layer = new DiffusionCrossAttention(8, 8);
      const stale = tensor.view();
      const grown = grows(null, () => Tensor.zeros([2 ** 22]));
      const before = memoryInUse();
      const messages = [
        () => Tensor.from(stale, [elements]),
        () => Tensor.from(stale, [0]),
        () => layer.setParameters(stale),
      ].map((work) => {
        try { work(); return 'no error'; } catch (error) {
          return error instanceof ArgumentError ? error.message : String(error.stack);
        }
      });
      report({ grown, messages, difference: memoryInUse() - before });`);
    assert.equal(result.grown, true);
    assert.match(result.messages[0], /^data has a detached or shrunk buffer; expected numbers/);
    assert.match(result.messages[1], /^data has a detached or shrunk buffer; expected numbers/);
    assert.match(result.messages[2], /^parameters has a detached or shrunk buffer; expected numbers/);
    assert.equal(result.difference, 0);
  });
});

describe('sources that fail or change while they are copied', () => {
  test('leak nothing', async () => {
    const result = await runForValue(`${load(1)}
      const layer = new DiffusionCrossAttention(8, 8, 2, 4, { seed: 1 });
      const parameters = layer.getParameters();
      const claiming = (length) => Object.defineProperty(new Float32Array(1000), 'length', { value: length });
      // The second read of an element throws, or is no number.
      const once = (second) => {
        let reads = 0;
        return { length: 3, 0: 1, 1: 2, get 2() { return ++reads === 1 ? 3 : second(); } };
      };
      const before = memoryInUse();
      const failures = [
        () => Tensor.from(claiming(99), [99]),
        () => layer.setParameters(claiming(layer.parameterCount)),
      ].map((work) => {
        try { work().dispose(); return 'no error'; } catch (error) {
          return error instanceof CrossAttentionError ? error.code : String(error.stack);
        }
      });
      const values = [() => 'three', () => 3n, () => { throw new Error('mine'); }].map((second) => {
        const tensor = Tensor.from(once(second), [3]);
        try { return [...tensor.data()]; } finally { tensor.dispose(); }
      });
      const same = layer.getParameters().join() === parameters.join();
      report({ failures, values, same, difference: memoryInUse() - before });`);
    // By its real length, 1000.
    assert.deepEqual(result.failures, ['ERR_SHAPE', 'ERR_SHAPE']);
    assert.deepEqual(result.values, [
      [1, 2, 3],
      [1, 2, 3],
      [1, 2, 3],
    ]);
    assert.equal(result.same, true);
    assert.equal(result.difference, 0);
  });
});
