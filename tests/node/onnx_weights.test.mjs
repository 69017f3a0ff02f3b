// Forms in which models store weights: quantized, computed from constants, or outside the file. Each is
// compared with ONNX Runtime, or refused by name.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, test } from 'node:test';
import onnxProto from 'onnx-proto';
import { normalArray } from '../../support/random.mjs';
import { normalTensor, scoped } from '../support/cases.mjs';
import { assertClose, assertSameBits, maximumMagnitude } from '../support/compare.mjs';
import { assertThrows } from '../support/errors.mjs';
import { makeTensor, truncateTo } from '../support/onnx_builder.mjs';
import { assertSameAsRuntime, custom, customModel } from '../support/onnx_custom.mjs';
import { ArgumentError, fromOnnx, memoryInUse, WeightsError } from '../support/onnx_package.mjs';
import { withSession } from '../support/onnx_run.mjs';
import { makeModel } from '../support/onnx_torch.mjs';

const { ModelProto } = onnxProto.onnx;

afterEach(() => assert.equal(memoryInUse(), 0, 'the test leaves memory in use'));

const { queryDim } = custom;

describe('weights that are computed from constants', () => {
  const projected = (change) =>
    customModel({
      project: (writer, role, value, weight) => {
        const tensor = writer.graph.initializer.find(({ name }) => name === weight);
        return writer.op('MatMul', [value, change(writer, tensor, role)]);
      },
    });
  const floats = (tensor) => new Float32Array(Uint8Array.from(tensor.rawData).buffer);
  /** Adds an integer tensor in place of a weight. */
  const quantized = (writer, tensor, type, values, dims = tensor.dims) => {
    const name = `${tensor.name}_quantized`;
    const ids = {
      int8: [3, Int8Array],
      uint8: [2, Uint8Array],
      int32: [6, Int32Array],
      int16: [5, Int16Array],
    };
    const [dataType, Array] = ids[type];
    writer.graph.initializer.push({
      name,
      dataType,
      dims,
      rawData: new Uint8Array(Array.from(values).buffer),
    });
    return name;
  };
  const zeroPoint = (writer, type, values, dims = [values.length]) => {
    const [dataType, Array] = { int8: [3, Int8Array], uint8: [2, Uint8Array] }[type];
    const name = `zero_${++writer.count}`;
    writer.graph.initializer.push({
      name,
      dataType,
      dims,
      rawData: new Uint8Array(Array.from(values).buffer),
    });
    return name;
  };

  test('DequantizeLinear of a tensor', async () => {
    for (const [type, scale, zero] of [
      ['int8', 0.02, 0],
      ['int8', 0.03, -5],
      ['uint8', 0.02, 128],
    ]) {
      const model = projected((writer, tensor) => {
        const values = floats(tensor).map(
          (value) => Math.max(Math.min(Math.round(value / scale), 90), -90) + zero,
        );
        const integers = quantized(writer, tensor, type, values);
        const point = zeroPoint(writer, type, [zero], []);
        return writer.op('DequantizeLinear', [integers, writer.scalar(scale), point]);
      });
      const { name } = await assertSameAsRuntime(model);
      assert.equal(name, 'block.attn');
    }
  });
  test('DequantizeLinear of int32, without a zero point', () =>
    assertSameAsRuntime(
      projected((writer, tensor) => {
        const integers = quantized(
          writer,
          tensor,
          'int32',
          floats(tensor).map((value) => Math.round(value * 1e6)),
        );
        return writer.op('DequantizeLinear', [integers, writer.scalar(1e-6)]);
      }),
    ));
  for (const axis of [0, 1, -1]) {
    test(`DequantizeLinear with a scale of each index of axis ${axis}`, () =>
      assertSameAsRuntime(
        projected((writer, tensor) => {
          const [rows, columns] = tensor.dims;
          const count = axis === 0 ? rows : columns;
          const scales = Float32Array.from({ length: count }, (_, index) => 0.01 + 0.001 * index);
          const zeros = Int8Array.from({ length: count }, (_, index) => index - 4);
          const at = (index) => (axis === 0 ? Math.floor(index / columns) : index % columns);
          const values = floats(tensor).map((value, index) =>
            Math.max(Math.min(Math.round(value / scales[at(index)]), 90), -90),
          );
          const integers = quantized(writer, tensor, 'int8', values);
          const inputs = [integers, writer.float(scales), zeroPoint(writer, 'int8', zeros)];
          return writer.op('DequantizeLinear', inputs, axis === 1 ? {} : { axis });
        }),
        // At its full level, ONNX Runtime quantizes the activations, too.
        { exact: true },
      ));
  }
  test('DequantizeLinear by blocks', () =>
    scoped((own) => {
      // ONNX Runtime 1.30 supports blocks of 16 and more only for 4-bit integers: compared with a loop.
      const block = 5;
      const expected = [];
      const model = projected((writer, tensor) => {
        const [rows, columns] = tensor.dims;
        const blocks = Math.ceil(rows / block);
        const scales = Float32Array.from({ length: blocks * columns }, (_, index) => 0.01 + 0.001 * index);
        // No negative zero, which integers do not have.
        const values = floats(tensor).map((value) => Math.round(value * 30) + 0);
        const scaleOf = (index) =>
          scales[Math.floor(Math.floor(index / columns) / block) * columns + (index % columns)];
        expected.push(values.map((value, index) => value * scaleOf(index)));
        const integers = quantized(writer, tensor, 'int8', values);
        const attributes = { axis: 0, block_size: block };
        return writer.op('DequantizeLinear', [integers, writer.float(scales, [blocks, columns])], attributes);
      });
      const [{ layer }] = fromOnnx(model.file);
      own(layer);
      ['to_q', 'to_k', 'to_v'].forEach((name, index) => {
        const actual = own(layer.getParameter(`${name}.weight`)).data();
        const columns = actual.length / queryDim;
        const transposed = actual.map(
          (_, at) => expected[index][(at % columns) * queryDim + Math.floor(at / columns)],
        );
        assertSameBits(actual, Float32Array.from(transposed), name);
      });
    }));
  test('invalid scales are refused by the node', () => {
    for (const [dims, attributes] of [
      [[3], {}],
      [[1, 12], {}],
      [[2, 12], { block_size: 5, axis: 0 }],
      [[12], { axis: 7 }],
    ]) {
      const model = projected((writer, tensor) => {
        const integers = quantized(writer, tensor, 'int8', floats(tensor));
        const scales = writer.float(
          new Float32Array(dims.reduce((size, dim) => size * dim, 1)).fill(1),
          dims,
        );
        return writer.op('DequantizeLinear', [integers, scales], attributes);
      });
      assertThrows(() => fromOnnx(model.file), WeightsError, 'of type "DequantizeLinear"');
    }
  });
  test('integers without DequantizeLinear are refused', () => {
    const model = projected((writer, tensor) => quantized(writer, tensor, 'int8', floats(tensor)));
    assertThrows(() => fromOnnx(model.file), WeightsError, 'ONNX type 3', 'DequantizeLinear');
  });

  const computed = {
    'Cast of integers, times a scale': (writer, tensor) => {
      const integers = quantized(
        writer,
        tensor,
        'int8',
        floats(tensor).map((value) => Math.round(value * 40)),
      );
      return writer.op('Mul', [writer.op('Cast', [integers], { to: 1 }), writer.scalar(1 / 40)]);
    },
    'Cast to float16 and back': (writer, { name }) =>
      writer.op('Cast', [writer.op('Cast', [name], { to: 10 })], { to: 1 }),
    'Cast to double and back': (writer, { name }) =>
      writer.op('Cast', [writer.op('Cast', [name], { to: 11 })], { to: 1 }),
    'Identity nodes': (writer, { name }) => {
      let value = name;
      for (let index = 0; index < 100; ++index) value = writer.op('Identity', [value]);
      return value;
    },
    'a Constant node': (writer, tensor) =>
      writer.op('Constant', [], { value: { ...tensor, name: tensor.name } }),
    'two Transposes and a Reshape': (writer, { name, dims }) => {
      const turned = writer.op('Transpose', [name], { perm: [1, 0] });
      const flat = writer.op('Reshape', [
        writer.op('Transpose', [turned], { perm: [1, 0] }),
        writer.integers(-1),
      ]);
      return writer.op('Reshape', [flat, writer.integers(...dims)]);
    },
    'Concat of parts': (writer, { name, dims: [rows] }) => {
      const part = (begin, end) =>
        writer.op('Slice', [name, writer.integers(begin), writer.integers(end), writer.integers(0)]);
      return writer.op('Concat', [part(0, 3), part(3, rows)], { axis: 0 });
    },
    'a merged LoRA': (writer, { name, dims: [rows, columns] }) => {
      const added = writer.float(normalArray(rows * columns, 8), [rows, columns]);
      return writer.op('Add', [name, writer.op('Mul', [added, writer.scalar(0.1)])]);
    },
  };
  for (const [name, change] of Object.entries(computed)) {
    test(name, () => assertSameAsRuntime(projected(change)));
  }
  test('float16 and bfloat16, raw and listed, in initializers and Constant nodes', () =>
    scoped((own) => {
      for (const type of ['float16', 'bfloat16']) {
        for (const storage of ['raw', 'listed']) {
          const exact = (tensor) => truncateTo(type, floats(tensor));
          const model = projected((writer, tensor, role) => {
            const stored = makeTensor(`${tensor.name}_half`, type, tensor.dims, exact(tensor), storage);
            if (role !== 'query') {
              writer.graph.initializer.push(stored);
              return writer.op('Cast', [stored.name], { to: 1 });
            }
            return writer.op('Cast', [writer.op('Constant', [], { value: stored })], { to: 1 });
          });
          const [{ layer }] = fromOnnx(model.file);
          own(layer);
          ['query', 'key', 'value'].forEach((role) => {
            const actual = own(layer.getParameter(`to_${role[0]}.weight`)).data();
            assertSameBits(actual, truncateTo(type, Float32Array.from(model.weights[role])), role);
          });
        }
      }
    }));
});

describe('data outside the file', () => {
  /** Moves all tensors of a model to one file. */
  function external(change = () => {}, location = 'weights.bin', minBytes = 1) {
    const model = makeModel({ attention: 'hand' });
    const decoded = ModelProto.decode(model.file);
    const parts = [];
    let size = 0;
    const move = (tensor) => {
      if (tensor.rawData.length < minBytes) return;
      // An odd distance: offsets may have any alignment.
      parts.push(tensor.rawData, new Uint8Array(3));
      const entries = { location, offset: String(size), length: String(tensor.rawData.length) };
      size += tensor.rawData.length + 3;
      Object.assign(tensor, { dataLocation: 1, rawData: new Uint8Array(0) });
      change(entries, tensor);
      tensor.externalData = Object.entries(entries).map(([key, value]) => ({ key, value }));
    };
    decoded.graph.initializer.forEach(move);
    for (const node of decoded.graph.node) for (const { t } of node.attribute) if (t) move(t);
    return {
      ...model,
      original: model.file,
      file: Uint8Array.from(ModelProto.encode(decoded).finish()),
      data: Uint8Array.from(Buffer.concat(parts)),
    };
  }
  const assertLoads = (file, externalData, original) =>
    scoped((own) => {
      const [{ layer }] = fromOnnx(file, { externalData });
      own(layer);
      const [{ layer: expected }] = fromOnnx(original);
      own(expected);
      assertSameBits(layer.getParameters(), expected.getParameters(), 'parameters');
    });

  test('is read from bytes by path, in any spelling and any kind of buffer', () => {
    for (const location of [
      'weights.bin',
      './weights.bin',
      'sub/weights.bin',
      'sub\\weights.bin',
      './/sub/./w',
    ]) {
      const { file, data, original } = external(() => {}, location);
      const key = location
        .replaceAll('\\', '/')
        .replace(/^\.\/+/, '')
        .replace('/./', '/');
      const shared = new Uint8Array(new SharedArrayBuffer(data.length));
      shared.set(data);
      const padded = new Uint8Array(data.length + 2);
      padded.set(data, 1);
      for (const bytes of [
        data,
        data.buffer,
        shared,
        shared.buffer,
        new DataView(padded.buffer, 1, data.length),
        Buffer.from(data),
      ]) {
        assertLoads(file, { [key]: bytes, 'other.bin': new Uint8Array(1) }, original);
      }
      assertLoads(file, { [`./${key.replaceAll('/', '\\')}`]: data }, original);
    }
  });
  test('computes what ONNX Runtime reads from files', () =>
    scoped(async (own) => {
      // ONNX Runtime requires the shapes of Reshape nodes in the file.
      const { file, data, sizes, ...dims } = external(() => {}, 'weights.bin', 64);
      const folder = await mkdtemp(join(tmpdir(), 'cross-attention-external-'));
      try {
        await writeFile(join(folder, 'model.onnx'), file);
        await writeFile(join(folder, 'weights.bin'), data);
        const [{ layer }] = fromOnnx(file, { externalData: { 'weights.bin': data } });
        own(layer);
        const input = own(normalTensor([sizes.batch, sizes.tokens, dims.queryDim], 3));
        const context = own(normalTensor([sizes.batch, sizes.length, dims.contextDim], 4));
        const feeds = Object.fromEntries(
          Object.entries({ input, context }).map(([name, one]) => [
            name,
            { data: one.data(), shape: one.shape },
          ]),
        );
        const expected = await withSession(
          join(folder, 'model.onnx'),
          async (run) => (await run(feeds)).output.data,
        );
        const output = own(layer.forwardWithContext(input, context)).data();
        assertClose(output, expected, 2e-6 * maximumMagnitude(expected), 'the output');
      } finally {
        await rm(folder, { recursive: true });
      }
    }));
  test('a length or an offset may be missing', () => {
    const { file, data, original } = external((entries) => delete entries.length);
    assertLoads(file, { 'weights.bin': data }, original);
    const first = external((entries) => {
      if (entries.offset === '0') delete entries.offset;
    });
    assertLoads(first.file, { 'weights.bin': first.data }, first.original);
  });
  test('tensors that no attention uses may be missing', () => {
    const { file, original } = makeModelWithUnused();
    assertLoads(file, {}, original);
  });
  function makeModelWithUnused() {
    const { file } = makeModel({});
    const model = ModelProto.decode(file);
    const externalData = [{ key: 'location', value: 'missing.bin' }];
    model.graph.initializer.push({ name: 'unused', dataType: 1, dims: [4], dataLocation: 1, externalData });
    return { file: Uint8Array.from(ModelProto.encode(model).finish()), original: file };
  }

  test('is refused with the tensor and the reason', () => {
    const name = 'onnx::MatMul_';
    const refuse = (change, parts, given = (data) => ({ 'weights.bin': data })) => {
      const { file, data } = external(
        (entries, { dims }) => {
          if (dims.length === 2) change(entries);
        },
        'weights.bin',
        64,
      );
      assertThrows(() => fromOnnx(file, { externalData: given(data) }), WeightsError, name, ...parts);
    };
    refuse(
      () => {},
      ['outside the file', '"weights.bin"', 'nothing'],
      () => ({}),
    );
    refuse(
      () => {},
      ['"weights.bin"', '"other.bin"'],
      (data) => ({ 'other.bin': data }),
    );
    refuse((entries) => delete entries.location, ['location']);
    refuse((entries) => (entries.location = ''), ['location']);
    for (const offset of ['-4', '1e3', '0x10', ' 4', '', '4.5', '99999999999999999999', 'abc']) {
      refuse((entries) => (entries.offset = offset), ['offset', JSON.stringify(offset)]);
    }
    for (const length of ['-4', 'abc', '']) {
      refuse((entries) => (entries.length = length), ['length', JSON.stringify(length)]);
    }
    for (const length of ['0', '4', '2303', '2305']) {
      refuse((entries) => (entries.length = length), ['length', length, '[24, 24]']);
    }
    refuse((entries) => (entries.offset = '9007199254740991'), ['bytes', 'offset 9007199254740991']);
    refuse(
      () => {},
      ['has 100 bytes', 'expected at least'],
      (data) => ({ 'weights.bin': data.subarray(0, 100) }),
    );
    refuse((entries) => (entries.location = '../../secret'), ['"../../secret"']);
  });
  test('a shape outside the file is named, too', () => {
    const { file } = external();
    assertThrows(
      () => fromOnnx(file),
      WeightsError,
      'heads',
      'Constant_',
      'outside the file',
      '"weights.bin"',
    );
  });
  test('invalid options', () => {
    const { file } = external();
    for (const wrong of [null, 5, 'weights.bin', [], new Uint8Array(4), new ArrayBuffer(4)]) {
      assertThrows(() => fromOnnx(file, { externalData: wrong }), ArgumentError, 'externalData');
    }
    for (const wrong of [null, undefined, 'text', [1], {}]) {
      assertThrows(
        () => fromOnnx(file, { externalData: { 'weights.bin': wrong } }),
        ArgumentError,
        'weights.bin',
      );
    }
    const thrower = {
      get 'weights.bin'() {
        throw new TypeError('from a getter');
      },
    };
    assertThrows(() => fromOnnx(file, { externalData: thrower }), ArgumentError, 'externalData');
    const twice = { 'weights.bin': new Uint8Array(4), './weights.bin': new Uint8Array(4) };
    assertThrows(() => fromOnnx(file, { externalData: twice }), ArgumentError, 'externalData');
    const detached = new Uint8Array(8);
    structuredClone(detached.buffer, { transfer: [detached.buffer] });
    assertThrows(() => fromOnnx(file, { externalData: { 'weights.bin': detached.buffer } }), ArgumentError);
  });
});
