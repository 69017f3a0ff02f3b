// Named weights: which file or memory tensor is meant for which parameter.
import { checkOptions, checkString, fail, show } from './checks';
import type { CoreCandidates, CoreLayer, CoreWeightFile, DType } from './core';
import { getCore } from './runtime';
import { Tensor, tensorHandle } from './tensor';

export interface WeightLoadValidation {
  matched: string[];
  unmatchedWeights: string[];
  missingParameters: string[];
  shapeMismatches: { name: string; expected: number[]; actual: number[] }[];
  /** No parameter is missing. */
  readonly isComplete: boolean;
  /** Complete, and no weight is left over or of another shape. */
  readonly isValid: boolean;
}

export interface WeightLoadResult {
  success: boolean;
  loadedCount: number;
  skippedCount: number;
  failedCount: number;
  loadedParameters: string[];
  failedParameters: { name: string; error: string }[];
  errorMessage?: string;
}

export type WeightMapping = (name: string) => string | null;
export type WeightSource = ArrayBuffer | Uint8Array | Map<string, Tensor> | Record<string, Tensor>;
export interface LoadWeightsOptions {
  /** Only names that begin so count; the parameter's name is what follows. */
  prefix?: string;
  /** The parameter that a (prefix-free) name is meant for; null: to be ignored. Default: the name itself. */
  mapping?: WeightMapping;
  /** Default true: a missing parameter or a name that no parameter has is a WeightsError, as in PyTorch. */
  strict?: boolean;
}

function checkMapping(mapping: unknown): WeightMapping {
  if (mapping === undefined || mapping === null) return (name) => name;
  if (typeof mapping !== 'function') fail('mapping', mapping, 'a function from names to names or null');
  return (name) => {
    const parameter: unknown = mapping(name);
    if (parameter !== null && typeof parameter !== 'string')
      fail(`mapping(${show(name)})`, parameter, 'a string or null');
    return parameter;
  };
}

/** Compares names alone with the parameters'. Shapes are compared when weights are loaded. */
export function validateNames(names: Iterable<string>, mapping?: WeightMapping): WeightLoadValidation {
  if (typeof names !== 'object' || names === null || !(Symbol.iterator in names)) {
    fail('names', names, 'an iterable of strings');
  }
  const map = checkMapping(mapping);
  const parameters = getCore().parameterNames();
  const found = new Set<string>();
  const matched: string[] = [];
  const unmatchedWeights: string[] = [];
  for (const name of names) {
    const parameter = map(checkString('names', name));
    if (parameter === null) continue;
    if (parameters.includes(parameter)) {
      found.add(parameter);
      matched.push(name);
    } else {
      unmatchedWeights.push(name);
    }
  }
  const missingParameters = parameters.filter((parameter) => !found.has(parameter));
  const isComplete = missingParameters.length === 0;
  return {
    matched,
    unmatchedWeights,
    missingParameters,
    shapeMismatches: [],
    isComplete,
    isValid: isComplete && unmatchedWeights.length === 0,
  };
}

/** Calls add(name, parameter, index) for every name that has the prefix. */
function forNames(
  names: readonly string[],
  { prefix, mapping }: { prefix: string; mapping: WeightMapping },
  add: (name: string, parameter: string | null, index: number) => void,
): void {
  names.forEach((name, index) => {
    if (name.startsWith(prefix)) add(name, mapping(name.slice(prefix.length)), index);
  });
}

function readFile(weights: ArrayBuffer | Uint8Array): CoreWeightFile {
  const source = weights instanceof ArrayBuffer ? new Uint8Array(weights) : weights;
  const bytes = getCore().Bytes.allocate(source.byteLength);
  try {
    bytes.view().set(source);
    return getCore().WeightFile.read(bytes);
  } finally {
    bytes.delete();
  }
}

function toEntries(weights: Map<string, Tensor> | Record<string, Tensor>): [string, Tensor][] {
  if (weights instanceof Map) return [...weights];
  if (
    typeof weights !== 'object' ||
    weights === null ||
    Array.isArray(weights) ||
    ArrayBuffer.isView(weights)
  ) {
    fail('weights', weights, 'an ArrayBuffer or Uint8Array (safetensors), or a Map or object of Tensors');
  }
  return Object.entries(weights);
}

/** Loads into a layer, all or nothing. Throws WeightsError, and then nothing has changed. */
export function loadInto(
  layer: CoreLayer,
  dtype: DType,
  weights: WeightSource,
  options: LoadWeightsOptions | undefined,
): WeightLoadResult {
  const { prefix = '', mapping, strict = true } = checkOptions('options', options);
  checkString('prefix', prefix);
  if (typeof strict !== 'boolean') fail('strict', strict, 'true or false');
  const naming = { prefix, mapping: checkMapping(mapping) };
  const core = getCore();
  const candidates: CoreCandidates =
    dtype === 'float32' ? new core.CandidatesFloat32() : new core.CandidatesFloat64();
  let file: CoreWeightFile | null = null;
  try {
    if (weights instanceof ArrayBuffer || weights instanceof Uint8Array) {
      file = readFile(weights);
      const stored = file;
      forNames(stored.names(), naming, (name, parameter, index) =>
        candidates.addStored(name, parameter, stored, index),
      );
    } else {
      const entries = toEntries(weights);
      forNames(
        entries.map(([name]) => checkString('weights', name)),
        naming,
        (name, parameter, index) => {
          const tensor = entries[index]![1];
          const handle = tensorHandle(`weights[${show(name)}]`, tensor);
          if (tensor.dtype === 'float32') candidates.addFloat32(name, parameter, handle);
          else candidates.addFloat64(name, parameter, handle);
        },
      );
    }
    const { loaded, skipped } = candidates.load(layer, strict);
    return {
      success: true,
      loadedCount: loaded.length,
      skippedCount: skipped.length,
      failedCount: 0,
      loadedParameters: loaded,
      failedParameters: [],
    };
  } finally {
    candidates.delete();
    file?.delete();
  }
}

/** A layer's parameters as a safetensors file. */
export function saveFrom(
  layer: CoreLayer,
  dtype: DType,
  options: { prefix?: string; dtype?: 'F32' | 'F16' | 'BF16' | 'F64' } | undefined,
): Uint8Array {
  const { prefix = '', dtype: stored = dtype === 'float32' ? 'F32' : 'F64' } = checkOptions(
    'options',
    options,
  );
  checkString('prefix', prefix);
  checkString('dtype', stored);
  const core = getCore();
  const bytes = (dtype === 'float32' ? core.saveFloat32 : core.saveFloat64)(layer, prefix, stored);
  try {
    return bytes.view().slice();
  } finally {
    bytes.delete();
  }
}
