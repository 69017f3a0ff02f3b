// Truncated, damaged and malicious weight files: loadWeights throws WeightsError and changes no parameter.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { runs } from '../support/arbitraries.mjs';
import { scoped } from '../support/cases.mjs';
import { assertSameBits } from '../support/compare.mjs';
import { assertError, assertThrows } from '../support/errors.mjs';
import { DiffusionCrossAttention, memoryInUse, WeightsError } from '../support/package.mjs';
import { assembleFile } from '../support/safetensors.mjs';

const makeLayer = (own) => own(new DiffusionCrossAttention(2, 1, 1, 8, { seed: 1 }));

/**
 * Calls work({layer, file, before, refuse}). refuse(bytes, ...parts) asserts a WeightsError with these parts.
 */
const withRefusals = (work) =>
  scoped((own) => {
    const layer = makeLayer(own);
    const file = layer.saveWeights();
    const before = layer.getParameters();
    const inUse = memoryInUse();
    const refuse = (bytes, ...parts) => {
      for (const strict of [true, false]) {
        assertThrows(() => layer.loadWeights(bytes, { strict }), WeightsError, ...parts);
      }
    };
    work({ layer, file, before, refuse });
    assertSameBits(layer.getParameters(), before, 'parameters');
    assert.equal(memoryInUse(), inUse);
    assert.equal(layer.loadWeights(file).loadedCount, 5, 'expected a valid file to load afterwards');
  });

describe('files of a wrong length', () => {
  test('truncated after each byte', () =>
    withRefusals(({ file, refuse }) => {
      for (let length = 0; length < file.length; ++length) refuse(file.subarray(0, length));
    }));

  test('too long', () =>
    withRefusals(({ file, refuse }) => {
      for (const more of [1, 4, 1000]) {
        const longer = new Uint8Array(file.length + more);
        longer.set(file);
        refuse(longer, 'bytes');
      }
    }));
});

describe('invalid headers', () => {
  const entry = (changes = {}) => ({ dtype: 'F32', shape: [2], data_offsets: [0, 8], ...changes });
  const data = new Uint8Array(8);
  const cases = {
    'not JSON': 'x',
    'not an object': '[]',
    'truncated JSON': '{"to_out.0.bias":{"dtype":"F32"',
    'text after the JSON': '{} {}',
    'a number instead of a tensor': '{"to_out.0.bias":5}',
    'null instead of a tensor': '{"to_out.0.bias":null}',
    'no dtype': { a: { shape: [2], data_offsets: [0, 8] } },
    'no shape': { a: { dtype: 'F32', data_offsets: [0, 8] } },
    'no offsets': { a: { dtype: 'F32', shape: [2] } },
    'one offset': { a: entry({ data_offsets: [0] }) },
    'three offsets': { a: entry({ data_offsets: [0, 4, 8] }) },
    'offsets in the wrong order': { a: entry({ data_offsets: [8, 0] }) },
    'offsets beyond the data': { a: entry({ data_offsets: [8, 16] }) },
    'a negative offset': '{"a":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}}',
    'a huge offset': '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,18446744073709551615]}}',
    'an offset beyond 64 bits': '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,36893488147419103240]}}',
    'a fractional offset': '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8.5]}}',
    'a negative dimension': { a: entry({ shape: [-2] }) },
    'a fractional dimension': '{"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}',
    'a dimension that is a string': { a: entry({ shape: ['2'] }) },
    'a product of dimensions that overflows to the correct size':
      '{"a":{"dtype":"F32","shape":[4611686018427387906],"data_offsets":[0,8]}}',
    'a size that does not match the offsets': { a: entry({ shape: [3] }) },
    'an unknown dtype': { a: entry({ dtype: 'F12' }) },
    'a dtype that is a number': { a: entry({ dtype: 32 }) },
    'a duplicate key': '{"a":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
    'a duplicate name':
      '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},' +
      '"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
    'tensors that overlap': { a: entry(), b: entry() },
    'tensors with a gap': { a: entry({ shape: [1], data_offsets: [4, 8] }) },
    'data without a tensor': {},
    'metadata that are not an object': '{"__metadata__":[]}',
    'metadata that are not strings': '{"__metadata__":{"format":5}}',
    'deep nesting': `{"a":${'['.repeat(100_000)}`,
    'a name of invalid UTF-16': '{"\\ud800":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
  };
  for (const [name, header] of Object.entries(cases)) {
    test(name, () => withRefusals(({ refuse }) => refuse(assembleFile(header, data))));
  }

  test('a name of invalid UTF-8', () =>
    withRefusals(({ refuse }) => {
      const file = assembleFile({ aa: entry() }, data);
      file[10] = 0xc3;
      file[11] = 0x28;
      refuse(file);
    }));

  for (const length of [0n, 1n, 2n ** 31n, 2n ** 32n, 2n ** 32n + 8n, 2n ** 63n, 2n ** 64n - 1n]) {
    test(`a header of ${length} bytes`, () =>
      withRefusals(({ file, refuse }) => {
        const changed = file.slice();
        new DataView(changed.buffer).setBigUint64(0, length, true);
        refuse(changed, 'safetensors');
      }));
  }
});

test('bytes changed at random: a WeightsError or a valid file', () =>
  scoped((own) => {
    const layer = makeLayer(own);
    const file = layer.saveWeights();
    const before = layer.getParameters();
    // Only the header is changed, because all bytes of the data are valid numbers.
    const headerEnd = 8 + Number(new DataView(file.buffer).getBigUint64(0, true));
    const change = fc.record({
      at: fc.integer({ min: 0, max: headerEnd - 1 }),
      byte: fc.integer({ min: 0, max: 255 }),
    });
    let refused = 0;
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        const changed = file.slice();
        for (const { at, byte } of changes) changed[at] = byte;
        try {
          layer.loadWeights(changed);
        } catch (error) {
          assertError(error, WeightsError);
          ++refused;
          assertSameBits(layer.getParameters(), before, 'parameters');
        }
        layer.setParameters(before);
      }),
      runs(3000),
    );
    assert.ok(refused > 2000, `${refused} of 3000 changed files were refused; expected more than 2000`);
  }));

test('random text is not a valid header', () =>
  withRefusals(({ refuse }) =>
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
        if (/^\s*\{\s*\}\s*$/.test(text)) return;
        refuse(assembleFile(text, new Uint8Array(3)));
      }),
      runs(300),
    ),
  ));

test('afterwards no memory is in use', () => assert.equal(memoryInUse(), 0));
