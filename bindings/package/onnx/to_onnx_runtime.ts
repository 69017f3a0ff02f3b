import { checkOneOf, readOptions } from '../checks';
import { ArgumentError } from '../errors';
import type { ComputationNode } from '../graph';
import { fuseAttentions } from './fused_attention';
import { type Fusion, toOnnx as toStandardOnnx, type ToOnnxOptions, writeOnnx } from './to_onnx';

export interface ToOnnxRuntimeOptions extends ToOnnxOptions {
  /**
   * 'operators' (the default): only standard operators of ONNX, for any engine. 'com.microsoft': each
   * attention as one operator of ONNX Runtime, which is faster there; float32 only.
   */
  attention?: 'operators' | 'com.microsoft';
}

const onnxRuntime: Fusion = {
  domain: 'com.microsoft',
  check(node, description) {
    if (node.dtype === 'float32') return;
    throw new ArgumentError(
      `${description} has dtype ${node.dtype}; expected float32 with attention: 'com.microsoft'`,
    );
  },
  apply: fuseAttentions,
};

/**
 * Like toOnnx of the package's main entry, with the option to write each attention as MultiHeadAttention, an
 * operator of ONNX Runtime. Throws ArgumentError if an attention cannot be written so.
 */
export function toOnnx(
  output: ComputationNode | readonly ComputationNode[],
  inputs: readonly ComputationNode[],
  options?: ToOnnxRuntimeOptions,
): Uint8Array {
  const given = readOptions('options', options, ['attention', 'opset']);
  const { attention = 'operators' } = given;
  checkOneOf('attention', attention, ['operators', 'com.microsoft']);
  return attention === 'operators'
    ? toStandardOnnx(output, inputs, given)
    : writeOnnx(output, inputs, given, onnxRuntime);
}
