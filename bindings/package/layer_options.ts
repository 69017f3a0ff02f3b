import type { DeviceOptions } from './accelerator';
import type { LayerSizes } from './accelerator';
import type { RecordOptions } from './attention_recorder';
import {
  checkBoolean,
  checkDType,
  checkFinite,
  checkInteger,
  checkNotNegative,
  checkOneOf,
  readOptions,
} from './checks';
import type { DType } from './core';
import { randomSeed, type Tensor } from './tensor';

/** Dimensions are at most this large; so is numHeads · headDim. */
const maxDimension = 32768;
const norms = ['none', 'layer_norm', 'rms_norm'] as const;

export interface LayerOptions {
  /** Type of the parameters and of all tensors of the layer. Default 'float32'. */
  dtype?: DType;
  /**
   * Seed of the Xavier-uniform initial weights, from 0 to 2^53 - 1. The same seed gives the same weights on
   * every machine. Biases are zero, weights of norms one. Default: a random seed.
   */
  seed?: number;
  /** Softmax scale. Default 1/sqrt(headDim). */
  scale?: number;
  /** Query rows of one flash-attention task; 0, the default, lets the planner choose. */
  blockSizeQ?: number;
  /** Keys of one flash-attention tile; 0, the default, lets the planner choose. */
  blockSizeKV?: number;
  /**
   * Channels of each head. Queries, keys and values have numHeads · headDim channels, at most 32768. Default
   * queryDim / numHeads, which then must divide.
   */
  headDim?: number;
  /** Channels of the output, 1 to 32768. Default queryDim. */
  outputDim?: number;
  /** Biases of queries, keys and values: to_q.bias, to_k.bias, to_v.bias. Default false. */
  bias?: boolean;
  /** Bias of the output: to_out.0.bias. Default true. */
  outputBias?: boolean;
  /**
   * Norm of each head's queries and keys over headDim, after the projections: norm_q.weight, norm_k.weight
   * and, for 'layer_norm', norm_q.bias, norm_k.bias. Default 'none'.
   */
  queryKeyNorm?: 'none' | 'layer_norm' | 'rms_norm';
  /** Added to the variance or mean square of queryKeyNorm. Default 1e-5. */
  normEpsilon?: number;
}

/** What a layer consists of: its dtype, the arguments of the core, and its sizes. */
export interface CheckedLayer {
  dtype: DType;
  /** See create in bindings/embind/layer.cpp. */
  core: readonly number[];
  sizes: LayerSizes;
}

export function checkLayer(
  queryDim: number,
  contextDim: number,
  numHeads: number,
  spatialSize: number,
  options: LayerOptions | undefined,
): CheckedLayer {
  const given = readOptions('options', options, [
    'dtype',
    'seed',
    'scale',
    'blockSizeQ',
    'blockSizeKV',
    'headDim',
    'outputDim',
    'bias',
    'outputBias',
    'queryKeyNorm',
    'normEpsilon',
  ]);
  const { dtype = 'float32', seed = randomSeed(), scale, blockSizeQ = 0, blockSizeKV = 0 } = given;
  const { outputDim = queryDim, bias = false, outputBias = true } = given;
  const { queryKeyNorm = 'none', normEpsilon = 1e-5 } = given;
  const dimension = (argument: string, value: unknown, min = 1): number =>
    checkInteger(argument, value, min, maxDimension);
  dimension('queryDim', queryDim);
  dimension('contextDim', contextDim);
  dimension('numHeads', numHeads);
  dimension('spatialSize', spatialSize);
  checkDType('dtype', dtype);
  const { headDim = queryDim / numHeads } = given;
  const core = [
    queryDim,
    contextDim,
    numHeads,
    spatialSize,
    checkInteger('seed', seed, 0, Number.MAX_SAFE_INTEGER),
    scale === undefined ? Number.NaN : checkFinite('scale', scale),
    dimension('blockSizeQ', blockSizeQ, 0),
    dimension('blockSizeKV', blockSizeKV, 0),
    // 0: the core computes it and checks that numHeads divides queryDim.
    given.headDim === undefined ? 0 : dimension('headDim', headDim),
    dimension('outputDim', outputDim),
    Number(checkBoolean('bias', bias)),
    Number(checkBoolean('outputBias', outputBias)),
    norms.indexOf(checkOneOf('queryKeyNorm', queryKeyNorm, norms)),
    checkNotNegative('normEpsilon', normEpsilon),
  ];
  const sizes = {
    queryDim,
    contextDim,
    numHeads,
    headDim,
    outputDim,
    scale: scale ?? 1 / Math.sqrt(headDim),
    bias,
    outputBias,
    queryKeyNorm,
    normEpsilon,
  };
  return { dtype, core, sizes };
}

export interface AttentionOptions {
  /**
   * Key mask [B | 1, L] (1 = attend, 0 = ignore), or additive mask [B | 1, N | 1, L] or [B | 1, heads | 1, N
   * | 1, L] of the layer's dtype. A boolean tensor (Tensor.isBoolean) of any of these shapes says which keys
   * are attended to. A row whose keys are all ignored gives a zero attention output. Context rows that no row
   * of the batch attends to may have any values, also NaN. Default: no mask.
   */
  mask?: Tensor | null;
  /**
   * Causal attention: query i attends to keys j <= i + L - N only, and to those that the mask allows. Keys
   * above the diagonal cost nothing. Default false.
   */
  causal?: boolean;
  /**
   * Adds the probabilities of a forward to a recorder. The output has the same bits as without. attentionMaps
   * does not record.
   */
  record?: RecordOptions | null;
}

/** Options of an asynchronous call. */
export interface AsyncAttentionOptions extends AttentionOptions, DeviceOptions {}

export function checkDeviceOptions(options: DeviceOptions | undefined): DeviceOptions {
  const { device, location } = readOptions('options', options, ['device', 'location']);
  if (device !== undefined) checkOneOf('device', device, ['auto', 'wasm', 'webgpu']);
  if (location !== undefined) checkOneOf('location', location, ['wasm', 'webgpu']);
  return { device, location };
}
