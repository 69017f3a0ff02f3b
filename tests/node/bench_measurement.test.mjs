// Tests of the benchmark's measurement: which contenders are measured, the reasons if one is not, and whether
// all contenders compute the same result.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { ContenderProcess } from '../../bench/contender_process.mjs';
import { entryOf, peers } from '../../bench/contenders.mjs';
import { measureAll } from '../../bench/measurement.mjs';
import { summarize, toJson } from '../../bench/summary.mjs';
import { targetLines } from '../../bench/targets.mjs';
import { shapeNamed } from '../../support/shapes.mjs';
import { initOptions, possibleVariants, variant } from '../support/variant.mjs';

const shape = shapeNamed('tiny');
const forward = { shape, dtype: 'float32', task: 'forward' };

after(() => ContenderProcess.stopAll());

/** A fake contender with fixed answers: each call lasts `milliseconds`. */
function fakeContender(
  label,
  options,
  { milliseconds = 1, firstCallSeconds = 0, supports = true, result, fails, flopsDone = 1e6 },
) {
  const answers = {
    supports: () => supports,
    prepare() {
      if (fails === 'prepare') throw new Error('out of memory');
      return { result: result ?? new Float32Array([1, 2]), firstCallSeconds, memory: null, flopsDone };
    },
    round() {
      if (fails === 'round') throw new Error('crashed');
      return { milliseconds: [milliseconds, milliseconds], cores: 1 };
    },
    finish() {},
  };
  const restarts = [];
  const process = {
    request: async (name) => answers[name](),
    restart: async () => restarts.push(label),
  };
  return { ...entryOf(label, label, options), process, ceiling: [], restarts };
}

test('a ceiling is computed from its own number of operations: tile sizes depend on SIMD', async () => {
  const entries = [6, 5].map((rows) => {
    const entry = fakeContender(`tile of ${rows}`, { simd: `tile of ${rows}`, threads: 1 }, {});
    const ceiling = fakeContender('ceiling', { threads: 1 }, { flopsDone: rows * 1e6 });
    return { ...entry, ceiling: [ceiling.process] };
  });
  const { records } = await measureAll(forward, entries, 0.001);
  assert.deepEqual(
    records.map(({ rounds }) => rounds[0].ceiling),
    [6, 5],
  );
});

test('a contender that cannot be measured is omitted with its reason; the others are measured', async () => {
  const entries = [
    fakeContender('relaxed', { simd: 'relaxed', threads: 1 }, { milliseconds: 2 }),
    fakeContender('twice as slow', { threads: 1 }, { milliseconds: 4 }),
    fakeContender('no such thing', { threads: 1 }, { supports: false }),
    fakeContender('large', { threads: 1 }, { fails: 'prepare' }),
    fakeContender('frail', { threads: 1 }, { fails: 'round' }),
    fakeContender('wrong', { threads: 1 }, { result: new Float32Array([1, 3]) }),
    fakeContender('slow', { threads: 1 }, { firstCallSeconds: 12 }),
  ];
  const { records, notMeasured } = await measureAll(forward, entries, 0.001);
  assert.deepEqual(
    records.map(({ entry }) => entry.label),
    ['relaxed', 'twice as slow'],
  );
  const reasons = Object.fromEntries(notMeasured.map(({ entry, reason }) => [entry.label, reason]));
  assert.equal(reasons['no such thing'], 'not supported');
  assert.equal(reasons.large, 'out of memory');
  assert.equal(reasons.frail, 'crashed');
  assert.match(reasons.wrong, /relaxed, 1 thread by 1; expected at most 0\.0000/);
  assert.match(reasons.slow, /12 s; expected at most 10 s/);
  assert.deepEqual(
    entries.filter(({ restarts }) => restarts.length > 0).map(({ label }) => label),
    ['large', 'frail', 'wrong', 'slow'],
  );
  const [ours] = summarize({ ...forward, records });
  assert.equal(ours.milliseconds, 2);
  assert.deepEqual(ours.timesAsFastAs, { 'twice as slow': 2 });
  const json = toJson([{ ...forward, records, notMeasured }], {});
  assert.equal(json.measurements[0].notMeasured.length, 5);
});

test('different bits with another number of threads are a wrong result', async () => {
  const results = [new Float32Array([1, 2]), new Float32Array([1, 2.0000002])];
  const entries = results.map((result, index) =>
    fakeContender('relaxed', { simd: 'relaxed', threads: index + 1 }, { result }),
  );
  const { notMeasured } = await measureAll(forward, entries, 0.001);
  assert.match(notMeasured[0]?.reason, /bit-identical .* relaxed, 1 thread$/);
});

test('targets compare with the fastest way to run a peer', async () => {
  const { 'onnxruntime-web': decomposed, 'onnxruntime-web-fused': fused } = peers;
  const entries = [
    fakeContender('relaxed', { simd: 'relaxed', threads: 1 }, { milliseconds: 2 }),
    fakeContender(decomposed.label, { threads: 1 }, { milliseconds: 3 }),
    fakeContender(fused.label, { threads: 1 }, { milliseconds: 5 }),
  ];
  const { records } = await measureAll(forward, entries, 0.001);
  const [{ met, text }] = targetLines([{ ...forward, records }]);
  assert.equal(met, false);
  assert.match(
    text,
    /^✗ tiny, float32, forward, relaxed, 1 thread: 1\.50 × .*ONNX Runtime Web; .*at least 2\.00 ×$/,
  );
});

// One variant is enough: the tests of each variant compare it with the reference.
const needed = possibleVariants[0];
const skip =
  (variant !== needed && `with ${needed} only`) ||
  (typeof Iterator === 'undefined' && 'jax-js needs a newer Node');

test('all contenders compute the same forward pass and training step', { skip }, async () => {
  const start = async (label, name, options) => ({
    ...entryOf(label, name, { ...options, threads: 1 }),
    process: await ContenderProcess.start(name, { ...options, threads: 1 }),
    ceiling: [],
  });
  const entries = [await start(initOptions.simd, 'cross_attention', { simd: initOptions.simd })];
  for (const { label, name, options } of Object.values(peers))
    entries.push(await start(label, name, options));
  entries.push(await start('ONNX Runtime native', 'onnxruntime_node', {}));
  for (const task of ['forward', 'training']) {
    const { records, notMeasured } = await measureAll({ ...forward, task }, entries, 0.001);
    assert.deepEqual(
      new Set(notMeasured.map(({ reason }) => reason)),
      new Set(task === 'training' ? ['not supported'] : []),
    );
    assert.equal(records.length, task === 'training' ? 3 : entries.length);
  }
});
