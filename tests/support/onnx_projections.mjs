// Builds models of one attention whose projections a test writes, up to the output projection.
import { custom, drawWeight, GraphWriter } from './onnx_custom.mjs';

const { batch, tokens, length, queryDim, contextDim, heads } = custom;
const headDim = queryDim / heads;

/** Builds a model of one attention from `attend(writer, values)`, which returns [B, N, C] before to_out. */
export function modelOf(attend, { isSelf = false, dynamic = false, ...header } = {}) {
  const writer = new GraphWriter(header);
  const size = (name, fixed) => (dynamic ? name : fixed);
  const input = writer.input('input', [size('batch', batch), size('tokens', tokens), queryDim]);
  const context = isSelf
    ? input
    : writer.input('context', [size('batch', batch), size('length', length), contextDim]);
  const weight = (name, from, to, seed) => {
    const values = drawWeight(to, from, seed);
    return writer.initializer(`block.attn.${name}.weight`, [from, to], values);
  };
  const joined = attend(writer, { input, context, weight });
  const projected = writer.op('MatMul', [joined, weight('to_out.0', queryDim, queryDim, 9)]);
  writer.node('Identity', [projected], { output: 'output' });
  writer.output('output', [size('batch', batch), size('tokens', tokens), queryDim]);
  const sizes = { batch, tokens, length: isSelf ? tokens : length, queryDim, contextDim, isSelf };
  return { file: Uint8Array.from(writer.encode()), ...sizes };
}

/** Returns a projection's result [B, rows, C] as [B, heads, rows, channels]. */
export const splitHeads = (writer, value) =>
  writer.op('Transpose', [writer.op('Reshape', [value, writer.integers(0, -1, heads, headDim)])], {
    perm: [0, 2, 1, 3],
  });

/** Attends with operands [B, heads, rows, channels]; returns [B, N, C]. */
export function attend(writer, q, k, v) {
  const products = writer.op('MatMul', [q, writer.op('Transpose', [k], { perm: [0, 1, 3, 2] })]);
  const scores = writer.op('Mul', [products, writer.scalar(1 / Math.sqrt(headDim))]);
  const sum = writer.op('MatMul', [writer.op('Softmax', [scores], { axis: -1 }), v]);
  const rows = writer.op('Transpose', [sum], { perm: [0, 2, 1, 3] });
  return writer.op('Reshape', [rows, writer.integers(0, -1, queryDim)]);
}
