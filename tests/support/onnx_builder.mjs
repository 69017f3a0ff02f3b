// Builds ONNX models node by node with a protobuf library that is independent of the package.
import onnxProto from 'onnx-proto';

const { onnx } = onnxProto;
const { DataType } = onnx.TensorProto;
const { AttributeType } = onnx.AttributeProto;

const scratch = new DataView(new ArrayBuffer(4));

/** Returns the float16 bits of a number that float16 represents exactly. */
function float16Bits(value) {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  const sign = (bits >>> 16) & 0x8000;
  const exponent = ((bits >>> 23) & 0xff) - 112;
  if (value === 0) return sign;
  // Subnormal numbers are multiples of 2^-24.
  return exponent > 0
    ? sign | (exponent << 10) | ((bits >>> 13) & 0x3ff)
    : sign | (Math.abs(value) * 2 ** 24);
}

function bfloat16Bits(value) {
  scratch.setFloat32(0, value);
  return scratch.getUint32(0) >>> 16;
}

/** Per element type: the id, the raw elements, and the field that may store them instead. */
const types = {
  float: { id: DataType.FLOAT, raw: (values) => Float32Array.from(values), field: 'floatData' },
  double: { id: DataType.DOUBLE, raw: (values) => Float64Array.from(values), field: 'doubleData' },
  int64: { id: DataType.INT64, raw: (values) => BigInt64Array.from(values, BigInt), field: 'int64Data' },
  float16: { id: 10, raw: (values) => Uint16Array.from(values, float16Bits), field: 'int32Data' },
  bfloat16: { id: 16, raw: (values) => Uint16Array.from(values, bfloat16Bits), field: 'int32Data' },
};

/** Truncates numbers to the precision of a type by dropping bits. */
export function truncateTo(type, values) {
  const mask = { float16: 0xffffe000, bfloat16: 0xffff0000 }[type];
  if (mask === undefined) return values;
  return values.map((value) => {
    scratch.setFloat32(0, value);
    scratch.setUint32(0, scratch.getUint32(0) & mask);
    const truncated = scratch.getFloat32(0);
    const isSubnormal = type === 'float16' && Math.abs(truncated) < 2 ** -14;
    return isSubnormal ? Math.trunc(truncated * 2 ** 24) / 2 ** 24 : truncated;
  });
}

/** storage: 'raw' stores bytes, 'listed' uses the field of the type. */
export function makeTensor(name, type, dims, values, storage = 'raw') {
  const { id, raw, field } = types[type];
  const elements = raw(values);
  if (storage === 'listed') return { name, dataType: id, dims, [field]: Array.from(elements, Number) };
  return { name, dataType: id, dims, rawData: new Uint8Array(elements.buffer) };
}

function makeAttribute(name, value) {
  if (typeof value === 'string')
    return { name, type: AttributeType.STRING, s: new TextEncoder().encode(value) };
  if (Array.isArray(value)) return { name, type: AttributeType.INTS, ints: value };
  if (typeof value === 'object' && 'float' in value)
    return { name, type: AttributeType.FLOAT, f: value.float };
  if (typeof value === 'object') return { name, type: AttributeType.TENSOR, t: value };
  return { name, type: AttributeType.INT, i: value };
}

export class ModelBuilder {
  /** constants: 'nodes' or 'initializers', the form in which constant() stores values. */
  constructor({ opset = 17, irVersion = 8, constants = 'nodes' } = {}) {
    this.constants = constants;
    this.graph = { name: 'main_graph', node: [], initializer: [], input: [], output: [], valueInfo: [] };
    this.header = {
      irVersion,
      opsetImport: [
        { domain: '', version: opset },
        { domain: 'com.microsoft', version: 1 },
      ],
    };
    this.count = 0;
  }

  #newName(start) {
    return `${start}_${++this.count}`;
  }
  #valueInfo(name, shape, type) {
    const dim = shape.map((size) => (typeof size === 'string' ? { dimParam: size } : { dimValue: size }));
    return { name, type: { tensorType: { elemType: types[type].id, shape: { dim } } } };
  }
  input(name, shape, type = 'float') {
    this.graph.input.push(this.#valueInfo(name, shape, type));
    return name;
  }
  output(name, shape, type = 'float') {
    this.graph.output.push(this.#valueInfo(name, shape, type));
  }
  initializer(name, dims, values, { type = 'float', storage = 'raw' } = {}) {
    this.graph.initializer.push(makeTensor(name, type, dims, values, storage));
    return name;
  }
  /**
   * Adds a node with one output and returns the output's name. Attributes are integers, lists of integers,
   * {float}, strings or tensors.
   */
  node(opType, input, { name = this.#newName(`/${opType}`), attributes = {}, domain = '', output } = {}) {
    const outputName = output ?? `${name}_output_0`;
    const attribute = Object.entries(attributes).map(([key, value]) => makeAttribute(key, value));
    this.graph.node.push({ name, opType, input, output: [outputName], attribute, domain });
    return outputName;
  }
  /** Adds a constant: a list, or a scalar if dims is []. Returns its name. */
  constant(values, { type = 'int64', dims = [values.length] } = {}) {
    const name = this.#newName('const');
    if (this.constants === 'initializers') return this.initializer(name, dims, values, { type });
    return this.node('Constant', [], { attributes: { value: makeTensor('', type, dims, values) } });
  }
  encode() {
    const model = onnx.ModelProto.create({ ...this.header, graph: this.graph });
    return onnx.ModelProto.encode(model).finish();
  }
}
