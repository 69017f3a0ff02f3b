// Builds the layer as an ONNX model, for other engines: an independent implementation.
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
 * Returns the bytes of a model with the inputs `input` [B, C, H, W], `context` [B, L, D] and, if `maskShape`
 * is given, `mask`, which is added to the scores [B, heads, N, L]. The output `output` has the shape of
 * `input`. `parameters`: Float32Arrays {query, key, value, output, bias}, weights as [outFeatures,
 * inFeatures]. The model consists of standard ONNX operators. If `fused`, one operator of ONNX Runtime
 * (com.microsoft's MultiHeadAttention, without a mask) computes the attention.
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
  fused = false,
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
  const add = (opType, input, output, attribute = [], domain = '') => {
    node.push({ opType, input, output: [output], attribute, domain });
    return output;
  };
  const transpose = (input, output, perm) =>
    add('Transpose', [input], output, [
      { name: 'perm', type: onnx.AttributeProto.AttributeType.INTS, ints: perm },
    ]);
  /** Adds the nodes of x·Wᵀ. */
  const linear = (input, name, weight, [outFeatures, inFeatures]) => {
    constant(`${name}.weight`, float, [outFeatures, inFeatures], weight);
    return add('MatMul', [input, transpose(`${name}.weight`, `${name}.transposed`, [1, 0])], name);
  };
  const flat = add('Reshape', ['input', shapeOf('flat.shape', [batch, queryDim, tokens])], 'flat');
  const x = transpose(flat, 'x', [0, 2, 1]);
  const query = linear(x, 'query', parameters.query, [queryDim, queryDim]);
  const key = linear('context', 'key', parameters.key, [queryDim, contextDim]);
  const value = linear('context', 'value', parameters.value, [queryDim, contextDim]);

  const splitHeads = (name, rows) =>
    transpose(
      add('Reshape', [name, shapeOf(`${name}.shape`, [batch, rows, numHeads, headDim])], `${name}.heads`),
      `${name}.split`,
      [0, 2, 1, 3],
    );
  const attendWithStandardOperators = () => {
    const keyColumns = transpose(splitHeads(key, length), 'key.columns', [0, 1, 3, 2]);
    const products = add('MatMul', [splitHeads(query, tokens), keyColumns], 'products');
    let scores = add('Mul', [products, constant('scale', float, [], Float32Array.of(scale))], 'scores');
    if (maskShape !== null) scores = add('Add', [scores, 'mask'], 'maskedScores');
    const axis = { name: 'axis', type: onnx.AttributeProto.AttributeType.INT, i: -1 };
    const probabilities = add('Softmax', [scores], 'probabilities', [axis]);
    const attended = add('MatMul', [probabilities, splitHeads(value, length)], 'attended');
    const joined = transpose(attended, 'attended.joined', [0, 2, 1, 3]);
    return add('Reshape', [joined, shapeOf('joined.shape', [batch, tokens, queryDim])], 'joined');
  };
  const attendWithFusedOperator = () =>
    add(
      'MultiHeadAttention',
      [query, key, value],
      'attended',
      [
        { name: 'num_heads', type: onnx.AttributeProto.AttributeType.INT, i: numHeads },
        { name: 'scale', type: onnx.AttributeProto.AttributeType.FLOAT, f: scale },
      ],
      'com.microsoft',
    );

  const attended = fused ? attendWithFusedOperator() : attendWithStandardOperators();
  const projected = linear(attended, 'projected', parameters.output, [queryDim, queryDim]);
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
      opsetImport: [
        { domain: '', version: 13 },
        { domain: 'com.microsoft', version: 1 },
      ],
      graph: { name: 'cross-attention', node, initializer, input, output },
    }),
  ).finish();
}
