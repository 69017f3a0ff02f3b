// The protobuf messages of an ONNX file (onnx.proto) that this package reads or writes. Other fields are
// skipped, among them subgraphs and functions, so that the nesting of messages is bounded.
import { PbfReader, PbfWriter } from 'pbf';
import { messageOf, WeightsError } from '../errors';

export interface ModelProto {
  irVersion?: number;
  producerName: string;
  producerVersion: string;
  graph?: GraphProto;
  opsetImport: OperatorSetIdProto[];
}
export interface OperatorSetIdProto {
  /** Empty for ONNX's standard operators. */
  domain: string;
  version?: number;
}
export interface GraphProto {
  node: NodeProto[];
  name: string;
  initializer: TensorProto[];
  input: ValueInfoProto[];
  output: ValueInfoProto[];
  valueInfo: ValueInfoProto[];
}
export interface NodeProto {
  /** Names of values; an empty name is an omitted optional input. */
  input: string[];
  output: string[];
  name: string;
  opType: string;
  domain: string;
  attribute: AttributeProto[];
}
export interface AttributeProto {
  name: string;
  type?: number;
  f?: number;
  i?: number;
  s?: Uint8Array;
  t?: TensorProto;
  floats: number[];
  ints: number[];
}
export interface TensorProto {
  dims: number[];
  dataType?: number;
  floatData: number[];
  int32Data: number[];
  int64Data: number[];
  name: string;
  rawData?: Uint8Array;
  doubleData: number[];
  uint64Data: number[];
  /** Where the data are if they are outside the file: location, offset, length. */
  externalData: StringStringEntryProto[];
  dataLocation?: number;
}
export interface StringStringEntryProto {
  key: string;
  value: string;
}
export interface ValueInfoProto {
  name: string;
  type?: TypeProto;
}
export interface TypeProto {
  tensorType?: TensorTypeProto;
}
export interface TensorTypeProto {
  elemType?: number;
  shape?: TensorShapeProto;
}
export interface TensorShapeProto {
  dim: DimensionProto[];
}
/** A number, a symbol whose value is known only at run time, or neither. */
export interface DimensionProto {
  dimValue?: number;
  dimParam: string;
}

type Scalar = 'int' | 'float' | 'double' | 'string' | 'bytes';
type Field = readonly [tag: number, type: Scalar | Message<object>, count?: 'many'];

/** The fields of a message by their tags, with their names in an object of type T. */
class Message<T extends object> {
  readonly fields: ReadonlyMap<number, { key: string; type: Scalar | Message<object>; many: boolean }>;

  constructor(fields: Record<keyof T, Field>) {
    this.fields = new Map(
      Object.entries<Field>(fields).map(([key, [tag, type, count]]) => [
        tag,
        { key, type, many: count === 'many' },
      ]),
    );
  }

  /** Returns an object with empty strings and lists, and without other fields. */
  empty(): Record<string, unknown> {
    const result: Record<string, unknown> = {};
    for (const { key, type, many } of this.fields.values()) {
      if (many) result[key] = [];
      else if (type === 'string') result[key] = '';
    }
    return result;
  }
}

const entry = new Message<StringStringEntryProto>({ key: [1, 'string'], value: [2, 'string'] });
const tensor = new Message<TensorProto>({
  dims: [1, 'int', 'many'],
  dataType: [2, 'int'],
  floatData: [4, 'float', 'many'],
  int32Data: [5, 'int', 'many'],
  int64Data: [7, 'int', 'many'],
  name: [8, 'string'],
  rawData: [9, 'bytes'],
  doubleData: [10, 'double', 'many'],
  uint64Data: [11, 'int', 'many'],
  externalData: [13, entry, 'many'],
  dataLocation: [14, 'int'],
});
const attribute = new Message<AttributeProto>({
  name: [1, 'string'],
  f: [2, 'float'],
  i: [3, 'int'],
  s: [4, 'bytes'],
  t: [5, tensor],
  floats: [7, 'float', 'many'],
  ints: [8, 'int', 'many'],
  type: [20, 'int'],
});
const node = new Message<NodeProto>({
  input: [1, 'string', 'many'],
  output: [2, 'string', 'many'],
  name: [3, 'string'],
  opType: [4, 'string'],
  attribute: [5, attribute, 'many'],
  domain: [7, 'string'],
});
const dimension = new Message<DimensionProto>({ dimValue: [1, 'int'], dimParam: [2, 'string'] });
const tensorShape = new Message<TensorShapeProto>({ dim: [1, dimension, 'many'] });
const tensorType = new Message<TensorTypeProto>({ elemType: [1, 'int'], shape: [2, tensorShape] });
const type = new Message<TypeProto>({ tensorType: [1, tensorType] });
const valueInfo = new Message<ValueInfoProto>({ name: [1, 'string'], type: [2, type] });
const graph = new Message<GraphProto>({
  node: [1, node, 'many'],
  name: [2, 'string'],
  initializer: [5, tensor, 'many'],
  input: [11, valueInfo, 'many'],
  output: [12, valueInfo, 'many'],
  valueInfo: [13, valueInfo, 'many'],
});
const operatorSetId = new Message<OperatorSetIdProto>({ domain: [1, 'string'], version: [2, 'int'] });
const model = new Message<ModelProto>({
  irVersion: [1, 'int'],
  producerName: [2, 'string'],
  producerVersion: [3, 'string'],
  graph: [7, graph],
  opsetImport: [8, operatorSetId, 'many'],
});

/** Creates a message with these fields; the others are empty. */
export const makeNode = (fields: Partial<NodeProto>) => ({ ...node.empty(), ...fields }) as NodeProto;
export const makeTensor = (fields: Partial<TensorProto>) => ({ ...tensor.empty(), ...fields }) as TensorProto;
export const makeAttribute = (fields: Partial<AttributeProto>) =>
  ({ ...attribute.empty(), ...fields }) as AttributeProto;

// ---------------------------------------------------------------------------------------------- reading

/** Protobuf's numbers of wire types. */
const wireTypes: Record<Scalar | 'message', number> = {
  int: 0,
  double: 1,
  string: 2,
  bytes: 2,
  message: 2,
  float: 5,
};
const packedWireType = 2;

function readOne(reader: PbfReader, type: Scalar | Message<object>): unknown {
  switch (type) {
    case 'int':
      return reader.readVarint(true);
    case 'float':
      return reader.readFloat();
    case 'double':
      return reader.readDouble();
    case 'string':
      return reader.readString();
    case 'bytes':
      return reader.readBytes();
    default: {
      const size = reader.readVarint();
      return readMessage(reader, type, reader.pos + size);
    }
  }
}

function readMany(reader: PbfReader, type: Scalar | Message<object>, values: unknown[]): void {
  if (type === 'int') reader.readPackedVarint(values as number[], true);
  else if (type === 'float') reader.readPackedFloat(values as number[]);
  else if (type === 'double') reader.readPackedDouble(values as number[]);
  else values.push(readOne(reader, type));
}

/** Reads a message. pbf trusts the lengths that it reads, so this function checks where each message ends. */
function readMessage(reader: PbfReader, message: Message<object>, end: number): Record<string, unknown> {
  const result = message.empty();
  if (!(end <= reader.length)) throw new RangeError('a message is longer than the file');
  reader.readFields(
    (tag) => {
      const field = message.fields.get(tag);
      if (field === undefined) return;
      const { key, type, many } = field;
      const isNumber = type === 'int' || type === 'float' || type === 'double';
      const fits =
        reader.type === wireTypes[typeof type === 'string' ? type : 'message'] ||
        (many && isNumber && reader.type === packedWireType);
      if (!fits) throw new RangeError(`${key} has wire type ${reader.type}`);
      if (many) readMany(reader, type, result[key] as unknown[]);
      else result[key] = readOne(reader, type);
    },
    null,
    end,
  );
  if (reader.pos !== end) throw new RangeError('a field is longer than its message');
  return result;
}

/** Throws WeightsError unless the bytes are a protobuf message. Checks nothing else. */
export function readModel(file: Uint8Array): ModelProto {
  // A plain Uint8Array: the slice of a Buffer is not a copy. A copy of shared memory: strings cannot be
  // decoded from it.
  const isShared = !(file.buffer instanceof ArrayBuffer);
  const bytes = isShared
    ? new Uint8Array(file)
    : new Uint8Array(file.buffer, file.byteOffset, file.byteLength);
  try {
    return readMessage(new PbfReader(bytes), model, bytes.length) as unknown as ModelProto;
  } catch (error) {
    // For truncated bytes, pbf or DataView throws.
    throw new WeightsError(`file is not a valid ONNX model: ${messageOf(error)}`);
  }
}

// ---------------------------------------------------------------------------------------------- writing

function writeOne(writer: PbfWriter, tag: number, type: Scalar | Message<object>, value: unknown): void {
  switch (type) {
    case 'int':
      return writer.writeVarintField(tag, value as number);
    case 'float':
      return writer.writeFloatField(tag, value as number);
    case 'double':
      return writer.writeDoubleField(tag, value as number);
    case 'string':
      return writer.writeStringField(tag, value as string);
    case 'bytes':
      return writer.writeBytesField(tag, value as Uint8Array);
    default:
      return writer.writeMessage(tag, (object) => writeMessage(writer, type, object), value as object);
  }
}

function writeMessage(writer: PbfWriter, message: Message<object>, value: object): void {
  for (const [tag, { key, type, many }] of message.fields) {
    const field = (value as Record<string, unknown>)[key];
    if (field === undefined || (field === '' && !many)) continue;
    if (!many) writeOne(writer, tag, type, field);
    else if (type === 'int') writer.writePackedVarint(tag, field as number[]);
    else if (type === 'float') writer.writePackedFloat(tag, field as number[]);
    else if (type === 'double') writer.writePackedDouble(tag, field as number[]);
    else for (const one of field as unknown[]) writeOne(writer, tag, type, one);
  }
}

export function writeModel(value: ModelProto): Uint8Array {
  const writer = new PbfWriter();
  writeMessage(writer, model, value);
  // A copy: the writer's buffer is larger than what it wrote.
  return writer.finish().slice();
}
