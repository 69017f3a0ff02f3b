// Tests of the WebGPU benchmark with fake contenders: what is timed, and which contenders are ranked. The
// real contenders need a browser.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contenders, ours } from '../../bench/webgpu/contenders.mjs';
import { measureShape } from '../../bench/webgpu/measurement.mjs';
import { adapterText, measurementTable } from '../../bench/webgpu/report.mjs';
import { summarize } from '../../bench/webgpu/summary.mjs';
import { shapeNamed } from '../../support/shapes.mjs';

const shape = shapeNamed('tiny');
const reference = new Float32Array([1, -2]);

/**
 * A fake contender that outputs `values`. `fails` is the step that throws. `log` records all steps in order.
 */
function fakeContender(name, { values = reference, fails, failsAfter = 0 } = {}) {
  const log = [];
  const record = (step) => {
    log.push(step);
    if (step === fails && log.filter((logged) => logged === step).length > failsAfter)
      throw new Error(`${step} failed`);
  };
  const prepare = (preparedShape) => {
    assert.equal(preparedShape, shape);
    record('prepare');
    return {
      upload: () => (record('upload'), 'image'),
      compute: async (image) => (record(`compute ${image}`), 'output'),
      read: async (output) => (record(`read ${output}`), values),
      release: (resource) => record(`release ${resource}`),
      dispose: () => record('dispose'),
    };
  };
  return { name, log, prepare, synchronize: async () => record('synchronize') };
}

const oneCall = [
  ...['upload', 'synchronize', 'compute image', 'synchronize', 'read output'],
  ...['release output', 'release image'],
];

test('a call uploads, computes and reads, waits for the queue, and releases its resources', async () => {
  const runner = fakeContender(ours);
  const { records, notMeasured } = await measureShape([runner], shape, reference, 1);
  assert.deepEqual(notMeasured, []);
  assert.deepEqual(runner.log.slice(0, 8), ['prepare', ...oneCall]);
  assert.equal(runner.log.at(-1), 'dispose');
  const calls = runner.log.filter((step) => step === 'upload').length;
  assert.deepEqual(runner.log.slice(1, -1), Array(calls).fill(oneCall).flat());
  assert.ok(calls >= 2, 'the first call and one round');
  const [{ error, first, rounds }] = records;
  assert.equal(error, 0);
  assert.equal(rounds.length, 1);
  for (const times of [first, ...rounds]) {
    assert.deepEqual(Object.keys(times), ['upload', 'compute', 'read']);
    assert.ok(Object.values(times).every((milliseconds) => milliseconds >= 0));
  }
});

test('a wrong result is not timed, a failure is reported, and the others are measured', async () => {
  const runners = [
    fakeContender(ours),
    // The tolerance is 1/1000 of the largest output (2): an error just inside and just outside.
    fakeContender('onnxruntime-web', { values: new Float32Array([1, -2.0019]) }),
    fakeContender('onnxruntime-web-fused', { values: new Float32Array([1.0021, -2]) }),
    fakeContender('tensorflow', { values: new Float32Array([1, NaN]) }),
    fakeContender('jax-stages', { fails: 'prepare' }),
    fakeContender('jax-whole', { fails: 'compute image', failsAfter: 1 }),
  ];
  const { records, notMeasured } = await measureShape(runners, shape, reference, 2);
  const roundsOf = Object.fromEntries(records.map(({ name, rounds }) => [name, rounds.length]));
  assert.deepEqual(roundsOf, {
    [ours]: 2,
    'onnxruntime-web': 2,
    'onnxruntime-web-fused': 0,
    tensorflow: 0,
  });
  assert.deepEqual(notMeasured, [
    { name: 'jax-stages', reason: 'prepare failed' },
    { name: 'jax-whole', reason: 'compute image failed' },
  ]);
  for (const { name, log } of runners) assert.equal(log.includes('dispose'), name !== 'jax-stages', name);
});

const times = (upload, compute, read) => ({ upload, compute, read });

test('times are medians, ratios are medians over rounds; a wrong result has neither and is last', () => {
  const record = (name, error, rounds) => ({ name, error, first: times(1, 20, 3), rounds });
  const records = [
    record('onnxruntime-web-fused', 0.8, []),
    record('tensorflow', 1e-6, [times(1, 9, 1), times(2, 20, 2), times(1, 8, 1)]),
    record(ours, 1e-7, [times(1, 3, 1), times(1, 10, 1), times(1, 4, 1)]),
  ];
  const [first, second, last] = summarize({ shape, records });
  assert.equal(first.name, ours);
  assert.deepEqual([first.computeTimesOurs, first.totalTimesOurs], [1, 1]);
  assert.equal(second.name, 'tensorflow');
  assert.equal(second.firstMilliseconds, 24);
  assert.equal(second.computeMilliseconds, 9);
  assert.equal(second.totalMilliseconds, 11);
  // Compute: 9/3, 20/10, 8/4. Whole call: 11/5, 24/12, 10/6.
  assert.deepEqual([second.computeTimesOurs, second.totalTimesOurs], [2, 2]);
  assert.deepEqual([last.name, last.wrong], ['onnxruntime-web-fused', true]);
  assert.equal(last.computeMilliseconds, undefined);

  const lines = measurementTable({ shape, records }).split('\n');
  assert.match(lines.at(-1), /^ {2}ONNX Runtime Web, fused +24\.00 +WRONG +8\.0e-1$/);
  const withoutOurs = summarize({ shape, records: records.slice(0, 2) });
  assert.equal(withoutOurs[0].computeTimesOurs, null);
});

test('adapterText describes the adapter and its capabilities', () => {
  const adapter = { vendor: 'nvidia', architecture: 'hopper', device: '', description: '' };
  const text = (capabilities) => adapterText({ ...adapter, ...capabilities });
  assert.equal(
    text({ isFallbackAdapter: false, subgroupSizes: [32, 32], hasFloat16: true, hasTimestamps: false }),
    'nvidia, hopper; subgroups of 32; shader-f16; no timestamp-query',
  );
  assert.match(text({ isFallbackAdapter: true, subgroupSizes: null }), /; in software; no subgroups; /);
});

test('the labels of the contenders are unique', () => {
  const labels = Object.values(contenders).map(({ label }) => label);
  assert.equal(new Set(labels).size, labels.length);
});
