import { viewBytes } from '../bytes';
import { checkDType, fail, readOptions } from '../checks';
import type { DType, TypedArray } from '../core';
import { WeightsError } from '../errors';
import { DiffusionCrossAttention } from '../layer';
import { getCore } from '../runtime';
import { findAttentions } from './attention_pattern';
import type { Attention } from './attention_pattern';
import { readWeight } from './linear';
import { readModel } from './model';
import { refuse } from './model_graph';
import { modulePath } from './module_path';
import { dataTypes, readElements } from './tensors';

/** An attention layer of an ONNX model. */
export interface ImportedAttention {
  /**
   * Path of its module, such as `down_blocks.0.attentions.0.transformer_blocks.0.attn2`; `attention_0` if
   * unknown.
   */
  name: string;
  /** 'self' if its context is the input's own tokens. */
  kind: 'cross' | 'self';
  /** The caller must dispose it. */
  layer: DiffusionCrossAttention;
}

export interface FromOnnxOptions {
  /** dtype of the layers. Default: 'float64' if the model's weights are DOUBLE, else 'float32'. */
  dtype?: DType;
}

/** The layer's default; inputs may have any size. */
const spatialSize = 64;
const maxDimension = 32768;

/**
 * Creates a layer for each attention of an ONNX model, with its weights, heads and scale, in the order of the
 * model's nodes. Supports models of `toOnnx` and of PyTorch's exporters, with attention as plain operators,
 * as Attention of ai.onnx or as MultiHeadAttention of com.microsoft. The weights (FLOAT, DOUBLE, FLOAT16 or
 * BFLOAT16) must be inside the file.
 *
 * Throws WeightsError that names the node if the file is damaged, has no attention, or has one that the layer
 * cannot compute; then it leaves no layer behind.
 *
 * @example
 * for (const { name, kind, layer } of fromOnnx(file)) layers.set(name, layer);
 */
export function fromOnnx(
  file: ArrayBuffer | SharedArrayBuffer | ArrayBufferView,
  options?: FromOnnxOptions,
): ImportedAttention[] {
  getCore();
  const { dtype } = readOptions('options', options, ['dtype']);
  const bytes = viewBytes('file', file) ?? fail('file', file, 'an ArrayBuffer or Uint8Array (ONNX)');
  if (dtype !== undefined) checkDType('dtype', dtype);
  const { graph } = readModel(bytes);
  if (graph === undefined) throw new WeightsError('file is not a valid ONNX model: it has no graph');
  const attentions = findAttentions(graph);
  if (attentions.length === 0) {
    throw new WeightsError(
      'file has no attention: no softmax between two products, and no attention operator',
    );
  }
  const imported: ImportedAttention[] = [];
  try {
    attentions.forEach((attention, index) => {
      const name = modulePath(attention) ?? `attention_${index}`;
      imported.push({ name, kind: attention.isSelf ? 'self' : 'cross', layer: makeLayer(attention, dtype) });
    });
  } catch (error) {
    for (const { layer } of imported) layer.dispose();
    throw error;
  }
  return imported;
}

function makeLayer(attention: Attention, requested: DType | undefined): DiffusionCrossAttention {
  const { node, query, key, value, output, bias, heads } = attention;
  const queryDim = query.inFeatures;
  const contextDim = key.inFeatures;
  for (const dimension of [queryDim, contextDim]) {
    const fits = dimension >= 1 && dimension <= maxDimension;
    if (!fits) refuse(node, `has ${dimension} channels; expected 1 to ${maxDimension}`);
  }
  const isDouble = query.weight.dataType === dataTypes.double;
  const dtype = requested ?? (isDouble ? 'float64' : 'float32');
  // Read before the layer is created, because the file's tensors may be invalid.
  const parameters: TypedArray[] = [query, key, value, output].map(readWeight);
  parameters.push(bias === null ? new Float32Array(queryDim) : readElements(bias));
  const flat = concatenate(parameters, dtype);
  const scale = chosenScale(attention, dtype);
  const options = scale === null ? { dtype } : { dtype, scale };
  const layer = new DiffusionCrossAttention(queryDim, contextDim, heads, spatialSize, options);
  try {
    layer.setParameters(flat);
  } catch (error) {
    layer.dispose();
    throw error;
  }
  return layer;
}

function concatenate(parts: readonly TypedArray[], dtype: DType): TypedArray {
  const size = parts.reduce((sum, part) => sum + part.length, 0);
  const result = dtype === 'float32' ? new Float32Array(size) : new Float64Array(size);
  let begin = 0;
  for (const part of parts) {
    result.set(part, begin);
    begin += part.length;
  }
  return result;
}

/**
 * Returns null for the layer's default scale, also if the model's scale differs from it by a few roundings.
 */
function chosenScale({ scale, heads, query }: Attention, dtype: DType): number | null {
  if (scale === null) return null;
  const defaultScale = 1 / Math.sqrt(query.inFeatures / heads);
  const roundings = dtype === 'float32' ? 2 ** -22 : 2 ** -50;
  return Math.abs(scale / defaultScale - 1) <= roundings ? null : scale;
}
