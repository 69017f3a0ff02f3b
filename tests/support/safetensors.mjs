// The safetensors format, read and written independently of the package: an 8-byte length, a JSON header, the data.
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

/** How to read and write one element of a type, and its size. */
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

/** The format forbids holes: each tensor begins where the one before ends, and the last one ends the file. */
function assertCoverage(spans, dataBytes) {
  spans.sort((one, other) => one[0] - other[0] || one[1] - other[1]);
  spans.forEach(([begin], index) => assert.equal(begin, index === 0 ? 0 : spans[index - 1][1], 'a hole'));
  assert.equal(spans.at(-1)?.[1] ?? 0, dataBytes, 'the last tensor ends the file');
}

/**
 * Asserts that the file is well formed.
 * {header, metadata, headerBytes, tensors: Map of name → {dtype, shape, offsets, values}}
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

/** A file of a header, as an object or as text, and the bytes of its data. */
export function assembleFile(header, data = new Uint8Array(0)) {
  const text = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const file = new Uint8Array(8 + text.length + data.length);
  new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
  file.set(text, 8);
  file.set(data, 8 + text.length);
  return file;
}

/** A file of tensors {name: {dtype, shape, values}}, one after another. F16 and BF16 take their bits as values. */
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
