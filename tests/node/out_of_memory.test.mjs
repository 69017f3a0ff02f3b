// Calls without enough memory throw OutOfMemoryError, and the package stays usable. The tests run in child
// processes because WebAssembly memory never shrinks.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { runForValue } from '../support/child.mjs';
import { initOptions } from '../support/variant.mjs';

const load = `
  import * as attention from 'diffusion-cross-attention';
  import { allocate } from '${new URL('../support/allocate.mjs', import.meta.url)}';
  const { init, memoryInUse, OutOfMemoryError, Tensor, DiffusionCrossAttention } = attention;
  await init(${JSON.stringify(initOptions)});
  const layer = new DiffusionCrossAttention(256, 128, 4, 16, { seed: 1 });
  const input = Tensor.randn([1, 256, 16, 16], { seed: 2 });
  const context = Tensor.randn([77, 128], { seed: 3 });
  layer.training = true;
  const run = () => {
    const output = layer.forwardWithContext(input, context);
    const inputGradient = layer.backward(output);
    const values = [...output.data(), ...inputGradient.data(), ...layer.getParameterGradients()];
    output.dispose(); inputGradient.dispose(); layer.clearGradients();
    return values.join();
  };
  const expected = run();
  const parameters = layer.getParameters().join();
  const codeOf = (work) => { try { work(); return 'no error'; } catch (error) {
    return error instanceof OutOfMemoryError ? error.code : String(error?.stack ?? error); } };
  // Allocates all memory in pieces of decreasing size, down to the last bytes: not even messages of errors
  // have memory then.
  const fill = () => {
    const tensors = [];
    for (let elements = 2 ** 26; elements >= 1; elements /= 4) {
      try { for (;;) tensors.push(allocate(elements)); } catch (error) {
        if (!(error instanceof OutOfMemoryError)) throw error;
      }
    }
    return tensors;
  };
  const report = (value) => console.log(JSON.stringify(value));`;
const failed = 'ERR_OUT_OF_MEMORY';

describe('without free memory', () => {
  test('calls that need memory fail, change nothing, and work once memory is free', async () => {
    const result = await runForValue(
      `${load}
      const file = layer.saveWeights();
      const tensors = fill();
      const full = memoryInUse();
      const codes = {
        zeros: codeOf(() => Tensor.zeros([2 ** 20])),
        from: codeOf(() => Tensor.from(new Float32Array(2 ** 20), [2 ** 20])),
        clone: codeOf(() => tensors[0].clone()),
        layer: codeOf(() => new DiffusionCrossAttention(1024, 1024)),
        forward: codeOf(() => layer.forwardWithContext(input, context)),
        backward: codeOf(() => layer.backward(input)),
        attentionMaps: codeOf(() => layer.attentionMaps(input, context)),
        setParameters: codeOf(() => layer.setParameters(layer.getParameters())),
        getParameter: codeOf(() => layer.getParameter('to_q.weight')),
        saveWeights: codeOf(() => layer.saveWeights()),
        loadWeights: codeOf(() => layer.loadWeights(file)),
        forwardAsync: await layer.forwardAsync(input, context)
          .then(() => 'no error', (error) => error.code ?? String(error.stack)),
      };
      const stillFull = memoryInUse();
      const sameParameters = layer.getParameters().join() === parameters;
      tensors.forEach((tensor) => tensor.dispose());
      const same = run() === expected;
      layer.dispose(); input.dispose(); context.dispose();
      report({ codes, full, difference: stillFull - full, sameParameters, same, rest: memoryInUse() });`,
    );
    for (const [name, code] of Object.entries(result.codes)) assert.equal(code, failed, name);
    assert.ok(result.full > 3.5e9, `the full memory has ${result.full} bytes`);
    assert.ok(result.difference <= 0, `failed calls leave ${result.difference} bytes allocated`);
    assert.equal(result.sameParameters, true);
    assert.equal(result.same, true, 'expected the same bits of output and gradients afterwards');
    assert.equal(result.rest, 0);
  });
});

describe('near 4 GiB', () => {
  test('a request larger than the last free block is refused and changes nothing', async () => {
    // The address of that block plus the size of the request exceeds 2^32.
    const result = await runForValue(
      `${load}
      const addressOf = (tensor) => tensor.view().byteOffset;
      const base = memoryInUse();
      const results = [[2 ** 26, 200 * 2 ** 20], [2 ** 14, 2 ** 20]].map(([elements, requested]) => {
        const tensors = [];
        codeOf(() => { for (;;) tensors.push(allocate(elements)); });
        const all = memoryInUse();
        const last = tensors.reduce((one, other) => (addressOf(other) > addressOf(one) ? other : one));
        const sum = addressOf(last) + 4 * requested;
        last.dispose();
        const code = codeOf(() => tensors.push(allocate(requested)));
        const difference = memoryInUse() - all + 4 * elements;
        const reused = codeOf(() => tensors.push(allocate(elements)));
        tensors.forEach((tensor) => tensor.dispose());
        return { code, sum, difference, reused, rest: memoryInUse() - base };
      });
      report({ results, same: run() === expected });`,
    );
    for (const { sum, ...found } of result.results) {
      assert.ok(sum > 2 ** 32, `expected a block near 4 GiB, but the sum is ${sum}`);
      assert.deepEqual(found, { code: failed, difference: 0, reused: 'no error', rest: 0 });
    }
    assert.equal(result.same, true);
  });
});

describe('at addresses above 3.5 GiB', () => {
  test('calls compute the same bits', async () => {
    const result = await runForValue(
      `${load}
      const file = layer.saveWeights();
      const maps = layer.attentionMaps(input, context).data().join();
      const runCompiled = async (graph) => {
        const inputs = [];
        const output = graph.exportComputationGraph(inputs);
        const inputShapes = [input.shape, context.shape];
        const compiled = await attention.compile(output, inputs, { inputShapes });
        const result = compiled.run(input, context);
        const values = result.data().join();
        compiled.dispose(); result.dispose();
        return values;
      };
      const compiled = await runCompiled(layer);
      const tensors = fill();
      // Only the memory at the end is free.
      const high = tensors.filter((tensor) => tensor.view().byteOffset >= 3.5 * 2 ** 30);
      high.forEach((tensor) => tensor.dispose());
      const other = new DiffusionCrossAttention(256, 128, 4, 16, { seed: 4 });
      other.training = true;
      const address = Tensor.zeros([2 ** 16]).view().byteOffset;
      other.loadWeights(file);
      const copy = Tensor.from(input.view(), input.shape);
      const output = other.forwardWithContext(copy, context);
      const inputGradient = other.backward(output);
      const values = [...output.data(), ...inputGradient.data(), ...other.getParameterGradients()].join();
      const asyncOutput = await other.forwardAsync(copy, context);
      report({
        address,
        same: values === expected,
        sameAsync: asyncOutput.data().join() === output.data().join(),
        sameParameters: other.getParameter('to_q.weight').data().join() ===
          layer.getParameter('to_q.weight').data().join(),
        sameFile: other.saveWeights().join() === file.join(),
        sameMaps: other.attentionMaps(copy, context).data().join() === maps,
        sameCompiled: await runCompiled(other) === compiled,
      });`,
    );
    const { address, ...same } = result;
    assert.ok(address >= 3.5 * 2 ** 30, `a tensor is at ${address}`);
    for (const [name, value] of Object.entries(same)) assert.equal(value, true, name);
  });
});

describe('shapes that are too large', () => {
  test('calls fail, and the layer stays usable', async () => {
    const result = await runForValue(`${load}
      const wide = new DiffusionCrossAttention(2048, 1, 8, 1, { seed: 1 });
      const long = Tensor.zeros([2_000_000, 1]);
      const tokens = Tensor.zeros([1, 2048]);
      const codes = [
        codeOf(() => Tensor.zeros([2 ** 40])),
        codeOf(() => Tensor.randn([2 ** 16, 2 ** 16], { dtype: 'float64' })),
        codeOf(() => new DiffusionCrossAttention(32768, 32768)),
        codeOf(() => wide.forwardWithContext(tokens, long)),
        codeOf(() => wide.attentionMaps(tokens, long)),
      ];
      report({ codes, same: run() === expected });`);
    assert.deepEqual(result.codes, new Array(5).fill(failed));
    assert.equal(result.same, true);
  });
});
