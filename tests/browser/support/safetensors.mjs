// A reader of safetensors files that shares nothing with ours, written from the format's description:
// 8 bytes little-endian length N, N bytes of JSON, then the numbers that the offsets in the JSON point into.
import assert from 'node:assert/strict';

const bytesOf = { F64: 8, F32: 4, F16: 2, BF16: 2, U8: 1 };

/**
 * @param {Buffer} file
 * @returns {{ metadata: Record<string, string>, tensors: Record<string, { dtype: string, shape: number[], bytes: Buffer }> }}
 */
export function parseSafetensors(file) {
  const start = 8 + Number(file.readBigUInt64LE(0));
  const { __metadata__: metadata = {}, ...entries } = JSON.parse(file.toString('utf8', 8, start));
  const tensors = {};
  const spans = [];
  for (const [name, { dtype, shape, data_offsets: span }] of Object.entries(entries)) {
    assert.equal(
      span[1] - span[0],
      shape.reduce((size, length) => size * length, bytesOf[dtype]),
      name,
    );
    spans.push(span);
    tensors[name] = { dtype, shape, bytes: file.subarray(start + span[0], start + span[1]) };
  }
  // The format forbids holes: each tensor begins where the one before ends, and the last one ends the file.
  spans.sort((one, other) => one[0] - other[0] || one[1] - other[1]);
  spans.forEach(([begin], index) => assert.equal(begin, index === 0 ? 0 : spans[index - 1][1], 'a hole'));
  assert.equal(start + (spans.at(-1)?.[1] ?? 0), file.length, 'the last tensor ends the file');
  return { metadata, tensors };
}

/** The numbers of an F32 tensor. */
export function floatsOf({ dtype, bytes }) {
  assert.equal(dtype, 'F32');
  return Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readFloatLE(index * 4));
}
