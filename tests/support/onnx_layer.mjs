// The layer as an ONNX model of plain operators, for engines that compute it independently of us.
import onnxProto from 'onnx-proto';

const { onnx } = onnxProto;
const float = onnx.TensorProto.DataType.FLOAT;
const int64 = onnx.TensorProto.DataType.INT64;

const bytesOf = (values) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

function valueInfo(name, shape) {
  const dim = shape.map((dimValue) => ({ dimValue }));
  return { name, type: { tensorType: { elemType: float, shape: { dim } } } };
}

/**
 * A model with the inputs `input` [B, C, H, W], `context` [B, L, D] and, where `maskShape` is given, `mask`, which is added to
 * the scores [B, heads, N, L]; its output is `output`, of the input's shape. `parameters`: Float32Arrays {query, key,
 * value, output, bias}, weights as [outFeatures, inFeatures].
 */
export function onnxLayer({
  batch,
  queryDim,
  contextDim,
  height,
  width,
  length,
  numHeads,
  parameters,
  scale,
  maskShape = null,
}) {
  const tokens = height * width;
  const headDim = queryDim / numHeads;
  const initializer = [];
  const node = [];
  const constant = (name, dataType, dims, values) => {
    initializer.push({ name, dataType, dims, rawData: bytesOf(values) });
    return name;
  };
  const shapeOf = (name, dims) => constant(name, int64, [dims.length], BigInt64Array.from(dims, BigInt));
  const add = (opType, input, output, attribute = []) => {
    node.push({ opType, input, output: [output], attribute });
    return output;
  };
  const transpose = (input, output, perm) =>
    add('Transpose', [input], output, [
      { name: 'perm', type: onnx.AttributeProto.AttributeType.INTS, ints: perm },
    ]);
  /** x·Wᵀ */
  const linear = (input, name, weight, [outFeatures, inFeatures]) => {
    constant(`${name}.weight`, float, [outFeatures, inFeatures], weight);
    return add('MatMul', [input, transpose(`${name}.weight`, `${name}.transposed`, [1, 0])], name);
  };
  const splitHeads = (name, rows) =>
    transpose(
      add('Reshape', [name, shapeOf(`${name}.shape`, [batch, rows, numHeads, headDim])], `${name}.heads`),
      `${name}.split`,
      [0, 2, 1, 3],
    );

  const flat = add('Reshape', ['input', shapeOf('flat.shape', [batch, queryDim, tokens])], 'flat');
  const x = transpose(flat, 'x', [0, 2, 1]);
  const query = splitHeads(linear(x, 'query', parameters.query, [queryDim, queryDim]), tokens);
  const key = splitHeads(linear('context', 'key', parameters.key, [queryDim, contextDim]), length);
  const value = splitHeads(linear('context', 'value', parameters.value, [queryDim, contextDim]), length);
  const products = add('MatMul', [query, transpose(key, 'key.columns', [0, 1, 3, 2])], 'products');
  let scores = add('Mul', [products, constant('scale', float, [], Float32Array.of(scale))], 'scores');
  if (maskShape !== null) scores = add('Add', [scores, 'mask'], 'maskedScores');
  const axis = { name: 'axis', type: onnx.AttributeProto.AttributeType.INT, i: -1 };
  const probabilities = add('Softmax', [scores], 'probabilities', [axis]);
  const attended = transpose(
    add('MatMul', [probabilities, value], 'attended'),
    'attended.joined',
    [0, 2, 1, 3],
  );
  const joined = add('Reshape', [attended, shapeOf('joined.shape', [batch, tokens, queryDim])], 'joined');
  const projected = linear(joined, 'projected', parameters.output, [queryDim, queryDim]);
  const biased = add('Add', [projected, constant('bias', float, [queryDim], parameters.bias)], 'biased');
  const channelsFirst = transpose(biased, 'channelsFirst', [0, 2, 1]);
  add('Reshape', [channelsFirst, shapeOf('output.shape', [batch, queryDim, height, width])], 'output');

  const input = [
    valueInfo('input', [batch, queryDim, height, width]),
    valueInfo('context', [batch, length, contextDim]),
  ];
  if (maskShape !== null) input.push(valueInfo('mask', maskShape));
  const output = [valueInfo('output', [batch, queryDim, height, width])];
  return onnx.ModelProto.encode(
    onnx.ModelProto.create({
      irVersion: 8,
      opsetImport: [{ domain: '', version: 13 }],
      graph: { name: 'cross-attention', node, initializer, input, output },
    }),
  ).finish();
}
