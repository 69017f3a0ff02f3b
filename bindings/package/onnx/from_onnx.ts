import { checkDType, checkOptions, fail } from '../checks';
import type { DType, TypedArray } from '../core';
import { WeightsError } from '../errors';
import { DiffusionCrossAttention } from '../layer';
import { getCore } from '../runtime';
import { findAttentions } from './attention_pattern';
import type { Attention } from './attention_pattern';
import { readWeight } from './linear';
import { readModel } from './model';
import { refuse } from './model_graph';
import { nameOf } from './names';
import { dataTypes, readElements } from './tensors';

/** An attention layer that an ONNX model was found to have. */
export interface ImportedAttention {
  /** As the model calls it, such as `down_blocks.0.attentions.0.transformer_blocks.0.attn2`; else `attention_0`. */
  name: string;
  /** 'self': its context is the input's own tokens. */
  kind: 'cross' | 'self';
  /** To be disposed of by the caller. */
  layer: DiffusionCrossAttention;
}

export interface FromOnnxOptions {
  /** Of the layers; default: float64 where the model's weights are DOUBLE, else float32. */
  dtype?: DType;
}

/** Layers are for images of any size; this only is what one without a size of its own is made for. */
const spatialSize = 64;
const mostDimension = 32768;

/**
 * A layer for each attention in an ONNX model, with its weights, heads and scale, in the order of the model's nodes: models
 * that `toOnnx` or PyTorch's exporters have written, of plain operators or with an attention operator (ai.onnx's
 * Attention, com.microsoft's MultiHeadAttention), weights (FLOAT, DOUBLE, FLOAT16, BFLOAT16) inside the file.
 * Throws WeightsError, naming the node, for a damaged file, one without attention, and where one of its attentions is not
 * as the layer is: then no layer is left.
 */
export function fromOnnx(file: ArrayBuffer | Uint8Array, options?: FromOnnxOptions): ImportedAttention[] {
  getCore();
  const isBytes = file instanceof ArrayBuffer || file instanceof Uint8Array;
  if (!isBytes) fail('file', file, 'an ArrayBuffer or Uint8Array (ONNX)');
  const { dtype } = checkOptions('options', options);
  if (dtype !== undefined) checkDType('dtype', dtype);
  const { graph } = readModel(file instanceof ArrayBuffer ? new Uint8Array(file) : file);
  if (graph === undefined) throw new WeightsError('file is no ONNX model: it has no graph');
  const attentions = findAttentions(graph);
  if (attentions.length === 0) {
    throw new WeightsError(
      'file has no attention: no softmax between two products, and no attention operator',
    );
  }
  const imported: ImportedAttention[] = [];
  try {
    attentions.forEach((attention, index) => {
      const name = nameOf(attention) ?? `attention_${index}`;
      imported.push({ name, kind: attention.isSelf ? 'self' : 'cross', layer: makeLayer(attention, dtype) });
    });
  } catch (error) {
    for (const { layer } of imported) layer.dispose();
    throw error;
  }
  return imported;
}

function makeLayer(attention: Attention, wanted: DType | undefined): DiffusionCrossAttention {
  const { node, query, key, value, output, bias, heads } = attention;
  const queryDim = query.inFeatures;
  const contextDim = key.inFeatures;
  for (const dimension of [queryDim, contextDim]) {
    const fits = dimension >= 1 && dimension <= mostDimension;
    if (!fits) refuse(node, `has ${dimension} channels; the layer takes 1 to ${mostDimension}`);
  }
  const isDouble = query.weight.dataType === dataTypes.double;
  const dtype = wanted ?? (isDouble ? 'float64' : 'float32');
  // All of them before there is a layer: this is what a file may be wrong about.
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

/** Null for the layer's default, and for what that is after a few roundings, as models have it. */
function chosenScale({ scale, heads, query }: Attention, dtype: DType): number | null {
  if (scale === null) return null;
  const usual = 1 / Math.sqrt(query.inFeatures / heads);
  const roundings = dtype === 'float32' ? 2 ** -22 : 2 ** -50;
  return Math.abs(scale / usual - 1) <= roundings ? null : scale;
}
