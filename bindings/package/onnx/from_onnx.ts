import type { DType, TypedArray } from '../core';
import { WeightsError } from '../errors';
import { DiffusionCrossAttention } from '../layer';
import { getCore } from '../runtime';
import { Tensor } from '../tensor';
import { attentionNodes, readAttention } from './attention_pattern';
import type { Attention } from './attention';
import type { ConstantArray } from './constant_arrays';
import { attachExternalData } from './external_data';
import { checkFile, checkImportOptions } from './import_options';
import type { FromOnnxOptions } from './import_options';
import { readBias, readHeadBias, readWeight } from './linear';
import { readModel } from './model';
import type { NodeProto } from './model';
import { refuse } from './model_graph';
import { modulePath, nearbyPath } from './module_path';
import { makeSearch } from './search';
import type { OperandNorm } from './operands';
import type { AttentionSearch } from './search';
import { dataTypes } from './tensors';

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
  /**
   * Constant masks and biases of the scores, also causal ones, as one additive mask [batch, heads, tokens,
   * keys] with sizes of 1 where it broadcasts, for the calls of the layer. Missing if the model has none.
   * The caller must dispose it.
   */
  mask?: Tensor;
  /**
   * Names of the model's inputs from which it computes a mask of the scores. A call of the layer needs that
   * mask as its argument. Missing if the model has none.
   */
  maskInputs?: readonly string[];
}

/** An attention that the layer cannot represent. */
export interface RefusedAttention {
  name: string;
  /** Names the node, and what is expected. */
  reason: string;
}

/** The layers of a model, and the attentions that are not among them. */
export type ImportedAttentions = ImportedAttention[] & { readonly refused: readonly RefusedAttention[] };

/** The layer's default; inputs may have any size. */
const spatialSize = 64;
const maxDimension = 32768;

/**
 * Creates a layer for each attention of an ONNX model, with its weights, heads and scale, in the order of the
 * model's nodes. Supports models of `toOnnx` and of PyTorch's exporters, with attention as plain operators,
 * as Attention of ai.onnx or as Attention or MultiHeadAttention of com.microsoft. Weights are FLOAT, DOUBLE,
 * FLOAT16, BFLOAT16, or integers with DequantizeLinear.
 *
 * Each operator between the projections is represented by the layer or the mask; otherwise the attention is
 * refused. Throws WeightsError if the file is damaged or has no attention, and, if `strict`, for an attention
 * that the layer cannot represent; then it leaves no layer behind.
 *
 * @example
 * for (const { name, kind, layer, mask } of fromOnnx(file)) layers.set(name, { layer, mask });
 */
export function fromOnnx(
  file: ArrayBuffer | SharedArrayBuffer | ArrayBufferView,
  options?: FromOnnxOptions,
): ImportedAttentions {
  getCore();
  const { dtype, externalData, isStrict, isWanted } = checkImportOptions(options);
  const { graph, opsetImport } = readModel(checkFile(file));
  if (graph === undefined) throw new WeightsError('file is not a valid ONNX model: it has no graph');
  attachExternalData(graph, externalData);
  const search = makeSearch(graph, opsetImport);
  const nodes = attentionNodes(search, graph.node);
  if (nodes.length === 0) {
    throw new WeightsError(
      'file has no attention: no softmax between two products, and no attention operator',
    );
  }
  const imported: ImportedAttention[] = [];
  const refused: RefusedAttention[] = [];
  try {
    nodes.forEach((node, index) => {
      const otherwise = `attention_${index}`;
      let name: string | null = null;
      try {
        const attention = readAttention(search, node);
        name = modulePath(search, attention) ?? otherwise;
        if (isWanted(name)) imported.push(makeImported(search, name, attention, dtype));
      } catch (error) {
        name ??= nearbyPath(search, node) ?? otherwise;
        if (!(error instanceof WeightsError)) throw error;
        if (!isWanted(name)) return;
        if (isStrict) throw error;
        refused.push({ name, reason: error.message });
      }
    });
  } catch (error) {
    for (const { layer, mask } of imported) {
      layer.dispose();
      mask?.dispose();
    }
    throw error;
  }
  // Not enumerable: the array is compared and printed as its elements.
  return Object.defineProperty(imported, 'refused', { value: refused }) as ImportedAttentions;
}

function makeImported(
  search: AttentionSearch,
  name: string,
  attention: Attention,
  requested: DType | undefined,
): ImportedAttention {
  const isDouble = search.constants.type(attention.query.weight) === dataTypes.double;
  const dtype = requested ?? (isDouble ? 'float64' : 'float32');
  const layer = makeLayer(search, attention, dtype);
  const imported: ImportedAttention = { name, kind: attention.isSelf ? 'self' : 'cross', layer };
  try {
    if (attention.mask !== null) imported.mask = makeMask(attention.mask, dtype);
  } catch (error) {
    layer.dispose();
    throw error;
  }
  if (attention.maskInputs.length > 0) imported.maskInputs = attention.maskInputs;
  return imported;
}

const maxFloat32 = 3.4028234663852886e38;

/** Finite numbers stay finite: rows of -infinity have no keys, rows of the lowest number have all. */
function makeMask({ dims, elements }: ConstantArray, dtype: DType): Tensor {
  const isFinite = (value: number) => value > -Infinity;
  const values =
    dtype === 'float64'
      ? elements
      : Float32Array.from(elements, (value) => (isFinite(value) ? Math.max(value, -maxFloat32) : value));
  return Tensor.from(values, dims, dtype);
}

function makeLayer(search: AttentionSearch, attention: Attention, dtype: DType): DiffusionCrossAttention {
  const { node, query, key, value, output, bias, heads } = attention;
  const queryDim = query.inFeatures;
  const contextDim = key.inFeatures;
  const outputDim = output.outFeatures;
  const { headDim } = query.rows;
  for (const dimension of [queryDim, contextDim, outputDim, heads * headDim])
    requireDimension(node, dimension);
  // Read before the layer is created, because the file's tensors may be invalid.
  const projections = [query, key, value];
  const hasBias = projections.some((linear) => linear.bias !== null);
  const parameters: TypedArray[] = projections.flatMap((linear) => [
    readWeight(search, linear, linear.rows),
    ...(hasBias ? [readHeadBias(search, linear.bias, linear.biasRows)] : []),
  ]);
  const whole = { offset: 0, headStride: outputDim, headDim: outputDim, heads: 1 };
  for (const { norm } of [query, key]) {
    if (norm === null) continue;
    parameters.push(readNormWeight(search, norm.weight, headDim));
    if (norm.kind === 'layer_norm') parameters.push(readBias(search, { ...norm, outFeatures: headDim }));
  }
  parameters.push(readWeight(search, output, whole), readBias(search, { ...output, bias }));
  const flat = concatenate(parameters, dtype);
  const scale = chosenScale(attention, dtype);
  const options = {
    dtype,
    headDim,
    outputDim,
    bias: hasBias,
    ...(scale !== null && { scale }),
    ...(query.norm !== null && {
      queryKeyNorm: query.norm.kind,
      normEpsilon: checkedEpsilon(query.norm),
    }),
  };
  const layer = new DiffusionCrossAttention(queryDim, contextDim, heads, spatialSize, options);
  try {
    layer.setParameters(flat);
  } catch (error) {
    layer.dispose();
    throw error;
  }
  return layer;
}

function readNormWeight(search: AttentionSearch, weight: string | null, channels: number): TypedArray {
  if (weight === null) return new Float32Array(channels).fill(1);
  return readBias(search, { bias: weight, outFeatures: channels });
}

/** Returns the decimal number, such as 1e-5, of an epsilon that the file stores as float32. */
function checkedEpsilon({ node, epsilon }: OperandNorm): number {
  if (!(epsilon >= 0 && epsilon < Infinity)) {
    refuse(node, `has epsilon ${epsilon}; expected a number of at least 0`);
  }
  const decimal = Number(epsilon.toPrecision(7));
  const isRounded = Math.fround(epsilon) === epsilon && Math.fround(decimal) === epsilon;
  return isRounded ? decimal : epsilon;
}

function requireDimension(node: NodeProto, dimension: number): void {
  const fits = dimension >= 1 && dimension <= maxDimension;
  if (!fits) refuse(node, `has ${dimension} channels; expected 1 to ${maxDimension}`);
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
function chosenScale({ scale, query }: Attention, dtype: DType): number | null {
  if (scale === null) return null;
  const defaultScale = 1 / Math.sqrt(query.rows.headDim);
  const roundings = dtype === 'float32' ? 2 ** -22 : 2 ** -50;
  return Math.abs(scale / defaultScale - 1) <= roundings ? null : scale;
}
