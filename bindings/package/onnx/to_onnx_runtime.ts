import { checkOneOf, readOptions } from '../checks';
import { ArgumentError } from '../errors';
import type { ComputationNode } from '../graph';
import { fuseAttentions } from './fused_attention';
import type { AttentionDomain } from './fused_attention';
import { type Fusion, oldestOpset, toOnnx as toStandardOnnx, type ToOnnxOptions, writeOnnx } from './to_onnx';

export interface ToOnnxRuntimeOptions extends ToOnnxOptions {
  /**
   * 'operators' (the default): only operators that every engine has. 'ai.onnx': each attention as Attention,
   * a standard operator since operator set 23, which is then the default. 'com.microsoft': each attention as
   * MultiHeadAttention of ONNX Runtime. The last two are faster in engines that have them; float32 only.
   */
  attention?: 'operators' | 'ai.onnx' | 'com.microsoft';
}

const fusionTo = (name: AttentionDomain): Fusion => ({
  domain: name === 'ai.onnx' ? '' : name,
  oldestOpset: name === 'ai.onnx' ? 23 : oldestOpset,
  check(node, description) {
    if (node.dtype === 'float32') return;
    throw new ArgumentError(
      `${description} has dtype ${node.dtype}; expected float32 with attention: '${name}'`,
    );
  },
  apply: (graph, opset) => fuseAttentions(graph, opset, name),
});

/**
 * Like toOnnx of the package's main entry, with the option to write each attention as one operator. Throws
 * ArgumentError if an attention cannot be written so.
 */
export function toOnnx(
  output: ComputationNode | readonly ComputationNode[],
  inputs: readonly ComputationNode[],
  options?: ToOnnxRuntimeOptions,
): Uint8Array {
  const given = readOptions('options', options, ['attention', 'opset']);
  const { attention = 'operators' } = given;
  checkOneOf('attention', attention, ['operators', 'ai.onnx', 'com.microsoft']);
  return attention === 'operators'
    ? toStandardOnnx(output, inputs, given)
    : writeOnnx(output, inputs, given, fusionTo(attention));
}
