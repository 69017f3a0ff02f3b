import { checkOneOf, checkOptions } from '../checks';
import { ArgumentError } from '../errors';
import type { ComputationNode } from '../graph';
import { fuseAttentions } from './fused_attention';
import { type Fusion, toOnnx as toStandardOnnx, type ToOnnxOptions, writeOnnx } from './to_onnx';

export interface ToOnnxRuntimeOptions extends ToOnnxOptions {
  /**
   * 'operators' (the default): nothing but ONNX's standard operators, which any engine knows. 'com.microsoft': each
   * attention as one operator of ONNX Runtime's own, which is faster there; float32 only.
   */
  attention?: 'operators' | 'com.microsoft';
}

const onnxRuntime: Fusion = {
  domain: 'com.microsoft',
  check(node, what) {
    if (node.dtype === 'float32') return;
    throw new ArgumentError(`attention is 'com.microsoft', and ${what} is ${node.dtype}; it takes float32`);
  },
  apply: fuseAttentions,
};

/** toOnnx of the package's main entry, with attention by choice as ONNX Runtime's own operator, MultiHeadAttention. */
export function toOnnx(
  output: ComputationNode | readonly ComputationNode[],
  inputs: readonly ComputationNode[],
  options?: ToOnnxRuntimeOptions,
): Uint8Array {
  const { attention = 'operators' } = checkOptions('options', options);
  checkOneOf('attention', attention, ['operators', 'com.microsoft']);
  return attention === 'operators'
    ? toStandardOnnx(output, inputs, options)
    : writeOnnx(output, inputs, options, onnxRuntime);
}
