// Loading and saving of named weights.
import { takeBytes } from './bytes';
import { checkBoolean, checkString, fail, mapEntries, read, readOptions, show } from './checks';
import { decodeInto, decodeValues, type Encoded } from './decoding';
import { ArgumentError, isInstance } from './errors';
import { failInstance } from './instances';
import type { LayerState } from './layer_state';
import { getCore } from './runtime';
import { tensorsInMemory } from './safetensors';
import { Tensor, tensorHandle } from './tensor';
import { WeightFile } from './weight_file';
import {
  fitsShape,
  matchWeights,
  type Matches,
  type NamedWeight,
  type Naming,
  type WeightMapping,
} from './weight_matching';

export interface WeightLoadValidation {
  /** Parameters that have a weight. */
  matched: string[];
  /** Weights without a parameter, including those that are mapped to null. */
  unmatchedWeights: string[];
  /** Parameters without a weight. */
  missingParameters: string[];
  /** Parameters whose weight has another shape. Empty if only names were given. */
  shapeMismatches: { name: string; expected: number[]; actual: number[] }[];
  /** True if no parameter is missing. */
  readonly isComplete: boolean;
  /** True if no weight has another shape than its parameter. */
  readonly isValid: boolean;
}

export interface WeightLoadResult {
  success: boolean;
  loadedCount: number;
  /**
   * Weights of the source that were not loaded: without the prefix, mapped to null, or unknown (if not
   * strict).
   */
  skippedCount: number;
  failedCount: number;
  loadedParameters: string[];
  failedParameters: { name: string; error: string }[];
  errorMessage?: string;
}

export type NamedTensors = Map<string, Tensor> | Record<string, Tensor>;
export type { WeightMapping } from './weight_matching';
/**
 * The bytes of a safetensors file, the bytes of its shards, or named tensors. An ArrayBufferView of any type
 * counts as its bytes. Only the header and the weights of the layer are copied.
 */
export type WeightBytes =
  | ArrayBuffer
  | SharedArrayBuffer
  | ArrayBufferView
  | readonly (ArrayBuffer | ArrayBufferView)[]
  | NamedTensors;
export type WeightSource = WeightBytes | WeightFile;
export interface LoadWeightsOptions {
  /**
   * Only names with this prefix are loaded; the parameter's name is what follows it. The final dot may be
   * left out unless there is a mapping. Default ''.
   */
  prefix?: string;
  /** Maps names without the prefix to parameters. Default: the name itself. */
  mapping?: WeightMapping;
  /** As in PyTorch: a missing parameter or a name without a parameter throws WeightsError. Default true. */
  strict?: boolean;
}

function checkMapping(mapping: unknown): WeightMapping | null {
  if (mapping === undefined || mapping === null) return null;
  if (typeof mapping !== 'function') fail('mapping', mapping, 'a function from names to names or null');
  return (name) => {
    const parameter: unknown = mapping(name);
    if (parameter !== null && typeof parameter !== 'string') {
      fail(`mapping(${show(name)})`, parameter, 'a string or null');
    }
    return parameter;
  };
}

function isNamedTensors(source: unknown): source is NamedTensors {
  if (mapEntries(source) !== null) return true;
  if (typeof source !== 'object' || source === null || ArrayBuffer.isView(source)) return false;
  return read('weights', () => !(Symbol.iterator in source));
}

const isBlob = (value: unknown): boolean => typeof Blob === 'function' && isInstance(value, Blob);

/** More than any file has: an iterator of the caller may be endless. */
const maxNames = 1_000_000;

function readNames(names: Iterable<unknown>): string[] {
  const all: string[] = [];
  return read('names', () => {
    for (const name of names) {
      if (all.push(checkString('names', name)) > maxNames)
        throw new ArgumentError(`names has more than ${maxNames} elements`);
    }
    return all;
  });
}

/** Yields each name, with the weight's shape if tensors are given, else null. */
function* namesAndShapes(weights: Iterable<string> | NamedTensors): Iterable<[string, number[] | null]> {
  if (isNamedTensors(weights)) {
    for (const [name, tensor] of toEntries(weights)) {
      tensorHandle(`weights[${show(name)}]`, tensor, null);
      yield [checkString('names', name), [...tensor.shape]];
    }
    return;
  }
  if (typeof weights !== 'object' || weights === null) {
    fail('names', weights, 'an iterable of strings, or a Map or object of Tensors');
  }
  for (const name of readNames(weights)) yield [name, null];
}

/**
 * See DiffusionCrossAttention.validateWeights. The mapping is the user's function and may dispose the layer.
 */
export function validateAgainst(
  state: LayerState,
  weights: Iterable<string> | NamedTensors,
  mapping?: WeightMapping,
): WeightLoadValidation {
  const map = checkMapping(mapping);
  const matched = new Set<string>();
  const unmatchedWeights: string[] = [];
  const shapeMismatches: WeightLoadValidation['shapeMismatches'] = [];
  for (const [name, actual] of namesAndShapes(weights)) {
    const parameter = map === null ? name : map(name);
    const expected = parameter === null ? undefined : state.core.parameterShape(parameter);
    if (parameter === null || expected === undefined) {
      unmatchedWeights.push(name);
      continue;
    }
    matched.add(parameter);
    if (actual !== null && !fitsShape(actual, expected)) {
      shapeMismatches.push({ name: parameter, expected, actual });
    }
  }
  const missingParameters = state.core.parameterNames().filter((parameter) => !matched.has(parameter));
  return {
    matched: [...matched],
    unmatchedWeights,
    missingParameters,
    shapeMismatches,
    isComplete: missingParameters.length === 0,
    isValid: shapeMismatches.length === 0,
  };
}

function checkNaming(options: LoadWeightsOptions | undefined): Naming {
  const {
    prefix = '',
    mapping,
    strict = true,
  } = readOptions('options', options, ['prefix', 'mapping', 'strict']);
  return {
    prefix: checkString('prefix', prefix),
    mapping: checkMapping(mapping),
    strict: checkBoolean('strict', strict),
  };
}

function toEntries(weights: NamedTensors): [string, Tensor][] {
  const entries = mapEntries(weights) ?? read('weights', () => Object.entries(weights));
  return entries as [string, Tensor][];
}

/** A weight, and how its bytes are read once it is known to be needed. */
export interface ReadableWeight extends NamedWeight {
  read(): Uint8Array;
}

function describeTensor([name, tensor]: [string, Tensor]): ReadableWeight {
  checkString('weights', name);
  const argument = `weights[${show(name)}]`;
  tensorHandle(argument, tensor, null);
  return {
    name,
    type: tensor.dtype === 'float32' ? 'F32' : 'F64',
    shape: tensor.shape,
    // A copy, checked again: the mapping may have disposed the tensor.
    read: () => new Uint8Array((tensorHandle(argument, tensor, null).view().slice() as Float32Array).buffer),
  };
}

/** `asynchronous`: the method that accepts a WeightFile. */
export function describeWeights(weights: unknown, asynchronous: string): ReadableWeight[] {
  if (WeightFile.isWeightFile(weights)) {
    throw new ArgumentError(`weights is a WeightFile; expected bytes or Tensors: use ${asynchronous}`);
  }
  const stored = tensorsInMemory(weights);
  if (stored !== null) return stored.map((tensor) => ({ ...tensor, read: () => tensor.bytes }));
  if (isBlob(weights) || !isNamedTensors(weights)) {
    fail(
      'weights',
      weights,
      'bytes of a safetensors file or of its shards, or a Map or object of Tensors; ' +
        `WeightFile.open reads URLs, paths and Blobs, for ${asynchronous}`,
    );
  }
  return toEntries(weights).map(describeTensor);
}

/** `synchronous`: the method that accepts bytes. */
export function checkFile(file: WeightFile, synchronous: string): void {
  if (WeightFile.isWeightFile(file)) return;
  if (tensorsInMemory(file) === null) failInstance('file', file, WeightFile);
  throw new ArgumentError(`file is bytes; expected a WeightFile of WeightFile.open: use ${synchronous}`);
}

/** Decodes the weights that were found into the layer. `read` returns the bytes of one. */
function decodeMatches<W extends NamedWeight>(
  state: LayerState,
  { matches, skipped }: Matches<W>,
  read: (weight: W) => Uint8Array,
): WeightLoadResult {
  const encode = (weight: W): Encoded => ({ ...weight, bytes: read(weight) });
  const encoded = matches.map(({ parameter, weight, scale }) => ({
    ...encode(weight),
    parameter,
    scales: scale && decodeValues(encode(scale)),
  }));
  decodeInto(state, encoded);
  const loaded = matches.map(({ parameter }) => parameter);
  return {
    success: true,
    loadedCount: loaded.length,
    skippedCount: skipped,
    failedCount: 0,
    loadedParameters: loaded,
    failedParameters: [],
  };
}

/** See DiffusionCrossAttention.loadWeights. The mapping is the user's function and may dispose the layer. */
export function loadInto(
  state: LayerState,
  weights: WeightBytes,
  options: LoadWeightsOptions | undefined,
): WeightLoadResult {
  const naming = checkNaming(options);
  const names = state.core.parameterNames();
  const given = describeWeights(weights, 'loadWeightsFrom');
  const found = matchWeights(() => state.core, names, given, naming);
  return decodeMatches(state, found, (weight) => weight.read());
}

/** See DiffusionCrossAttention.loadWeightsFrom. */
export async function loadFromFile(
  state: LayerState,
  file: WeightFile,
  options: LoadWeightsOptions | undefined,
): Promise<WeightLoadResult> {
  const naming = checkNaming(options);
  checkFile(file, 'loadWeights');
  const names = state.core.parameterNames();
  const found = matchWeights(() => state.core, names, file.content.tensors, naming);
  const wanted = found.matches.flatMap(({ weight, scale }) => (scale === null ? [weight] : [weight, scale]));
  const bytes = await file.content.readBytes(wanted);
  return decodeMatches(state, found, (tensor) => bytes[wanted.indexOf(tensor)]!);
}

/** See DiffusionCrossAttention.saveWeights. */
export function saveFrom(
  state: LayerState,
  options: { prefix?: string; dtype?: 'F32' | 'F16' | 'BF16' | 'F64' } | undefined,
): Uint8Array {
  const { dtype } = state;
  const given = readOptions('options', options, ['prefix', 'dtype']);
  const { prefix = '', dtype: stored = dtype === 'float32' ? 'F32' : 'F64' } = given;
  checkString('prefix', prefix);
  checkString('dtype', stored);
  const { core } = state;
  const { saveFloat32, saveFloat64 } = getCore();
  return takeBytes((dtype === 'float32' ? saveFloat32 : saveFloat64)(core, prefix, stored));
}
