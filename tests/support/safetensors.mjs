// Reads and writes the safetensors format independently of the package: an 8-byte length, a JSON header, the
// data.
import assert from 'node:assert/strict';

const upTo16Bits = {
  F16: (bits) => {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 0x1f;
    const mantissa = bits & 0x3ff;
    if (exponent === 0x1f) return mantissa ? NaN : sign * Infinity;
    return sign * (exponent === 0 ? mantissa * 2 ** -24 : (1 + mantissa / 1024) * 2 ** (exponent - 15));
  },
  BF16: (bits) => new Float32Array(new Uint32Array([bits << 16]).buffer)[0],
};

/** Per type: the size of an element and functions that read and write it. */
export const types = {
  F64: {
    bytes: 8,
    get: (view, at) => view.getFloat64(at, true),
    set: (view, at, v) => view.setFloat64(at, v, true),
  },
  F32: {
    bytes: 4,
    get: (view, at) => view.getFloat32(at, true),
    set: (view, at, v) => view.setFloat32(at, v, true),
  },
  F16: { bytes: 2, get: (view, at) => upTo16Bits.F16(view.getUint16(at, true)) },
  BF16: { bytes: 2, get: (view, at) => upTo16Bits.BF16(view.getUint16(at, true)) },
  U8: { bytes: 1, get: (view, at) => view.getUint8(at), set: (view, at, v) => view.setUint8(at, v) },
  I64: { bytes: 8, set: (view, at, v) => view.setBigInt64(at, BigInt(v), true) },
};

/** Asserts that the tensors cover the data without gaps or overlaps, as the format requires. */
function assertCoverage(spans, dataBytes) {
  spans.sort((one, other) => one[0] - other[0] || one[1] - other[1]);
  const ends = [0, ...spans.map(([, end]) => end)];
  spans.forEach(([begin], index) => assert.equal(begin, ends[index], 'expected no gap or overlap'));
  assert.equal(ends.at(-1), dataBytes, 'expected the last tensor to end at the end of the file');
}

/**
 * Parses a file and asserts that it is well formed.
 * Returns {header, metadata, headerBytes, tensors: Map of name → {dtype, shape, offsets, values}}.
 */
export function parseSafetensors(file) {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const headerBytes = Number(view.getBigUint64(0, true));
  const header = JSON.parse(
    new TextDecoder('utf-8', { fatal: true }).decode(file.subarray(8, 8 + headerBytes)),
  );
  const { __metadata__: metadata, ...entries } = header;
  const tensors = new Map();
  for (const [name, { dtype, shape, data_offsets: offsets }] of Object.entries(entries)) {
    const { bytes, get } = types[dtype];
    assert.equal(
      offsets[1] - offsets[0],
      shape.reduce((size, length) => size * length, bytes),
      name,
    );
    const values = Float64Array.from({ length: (offsets[1] - offsets[0]) / bytes }, (_, index) =>
      get(view, 8 + headerBytes + offsets[0] + index * bytes),
    );
    tensors.set(name, { dtype, shape, offsets, values });
  }
  const spans = [...tensors.values()].map(({ offsets }) => offsets);
  assertCoverage(spans, file.byteLength - 8 - headerBytes);
  return { header, metadata, headerBytes, tensors };
}

/** Returns a file with this header, an object or a string, and these bytes of data. */
export function assembleFile(header, data = new Uint8Array(0)) {
  const text = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const file = new Uint8Array(8 + text.length + data.length);
  new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
  file.set(text, 8);
  file.set(data, 8 + text.length);
  return file;
}

/**
 * Returns a file of the tensors {name: {dtype, shape, values}}. The values of F16 and BF16 are bit patterns.
 */
export function writeSafetensors(tensors, metadata) {
  const header = metadata === undefined ? {} : { __metadata__: metadata };
  const total = Object.values(tensors).reduce(
    (sum, { dtype, values }) => sum + types[dtype].bytes * values.length,
    0,
  );
  const data = new Uint8Array(total);
  const view = new DataView(data.buffer);
  let offset = 0;
  for (const [name, { dtype, shape, values }] of Object.entries(tensors)) {
    const { bytes, set = (target, at, bits) => target.setUint16(at, bits, true) } = types[dtype];
    values.forEach((value, index) => set(view, offset + index * bytes, value));
    header[name] = { dtype, shape, data_offsets: [offset, offset + values.length * bytes] };
    offset += values.length * bytes;
  }
  return assembleFile(header, data);
}
