// Loading and saving of named weights: which weight of a source belongs to which parameter.
import { takeBytes, withBytes } from './bytes';
import { checkBoolean, checkOptions, checkString, fail, show } from './checks';
import type { CoreCandidates, CoreWeightFile } from './core';
import type { LayerState } from './layer_state';
import { getCore } from './runtime';
import { Tensor, tensorHandle } from './tensor';

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
/** Returns the parameter for a name without the prefix, or null to ignore the weight. */
export type WeightMapping = (name: string) => string | null;
/** The bytes of a safetensors file, or named tensors. */
export type WeightSource = ArrayBuffer | Uint8Array | NamedTensors;
export interface LoadWeightsOptions {
  /** Only names with this prefix are loaded; the parameter's name is what follows it. Default ''. */
  prefix?: string;
  /** Maps names without the prefix to parameters. Default: the name itself. */
  mapping?: WeightMapping;
  /** As in PyTorch: a missing parameter or a name without a parameter throws WeightsError. Default true. */
  strict?: boolean;
}

function checkMapping(mapping: unknown): WeightMapping {
  if (mapping === undefined || mapping === null) return (name) => name;
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
  if (source instanceof Map) return true;
  return (
    typeof source === 'object' &&
    source !== null &&
    !(Symbol.iterator in source) &&
    !ArrayBuffer.isView(source)
  );
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
  for (const name of weights) yield [checkString('names', name), null];
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
    const parameter = map(name);
    const expected = parameter === null ? undefined : state.core.parameterShape(parameter);
    if (parameter === null || expected === undefined) {
      unmatchedWeights.push(name);
      continue;
    }
    matched.add(parameter);
    if (actual !== null && String(actual) !== String(expected)) {
      shapeMismatches.push({ name: parameter, expected, actual });
    }
  }
  const missingParameters = getCore()
    .parameterNames()
    .filter((parameter) => !matched.has(parameter));
  return {
    matched: [...matched],
    unmatchedWeights,
    missingParameters,
    shapeMismatches,
    isComplete: missingParameters.length === 0,
    isValid: shapeMismatches.length === 0,
  };
}

interface Naming {
  prefix: string;
  mapping: WeightMapping;
}

/**
 * Calls add(name, parameter, index) for each name with the prefix. `parameter` is null if the weight is
 * ignored.
 */
function forNames(
  names: readonly string[],
  { prefix, mapping }: Naming,
  add: (name: string, parameter: string | null, index: number) => void,
): void {
  names.forEach((name, index) => {
    if (name.startsWith(prefix)) add(name, mapping(name.slice(prefix.length)), index);
  });
}

function readFile(weights: ArrayBuffer | Uint8Array): CoreWeightFile {
  const source = weights instanceof ArrayBuffer ? new Uint8Array(weights) : weights;
  return withBytes(getCore(), source, (bytes) => getCore().WeightFile.read(bytes));
}

function toEntries(weights: NamedTensors): [string, Tensor][] {
  return weights instanceof Map ? [...weights] : Object.entries(weights);
}

/** Adds the weights of a file. Returns the number of all its tensors. */
function addStored(candidates: CoreCandidates, file: CoreWeightFile, naming: Naming): number {
  const names = file.names();
  forNames(names, naming, (_name, parameter, index) => {
    if (parameter !== null) candidates.addStored(parameter, file, index);
  });
  return names.length;
}

/** Adds named tensors. Returns their number. */
function addTensors(candidates: CoreCandidates, weights: NamedTensors, naming: Naming): number {
  const entries = toEntries(weights);
  const names = entries.map(([name]) => checkString('weights', name));
  forNames(names, naming, (name, parameter, index) => {
    const tensor = entries[index]![1];
    const handle = tensorHandle(`weights[${show(name)}]`, tensor, null);
    if (parameter === null) return;
    if (tensor.dtype === 'float32') candidates.addFloat32(name, parameter, handle);
    else candidates.addFloat64(name, parameter, handle);
  });
  return entries.length;
}

/** See DiffusionCrossAttention.loadWeights. The mapping is the user's function and may dispose the layer. */
export function loadInto(
  state: LayerState,
  weights: WeightSource,
  options: LoadWeightsOptions | undefined,
): WeightLoadResult {
  const { prefix = '', mapping, strict = true } = checkOptions('options', options);
  checkString('prefix', prefix);
  checkBoolean('strict', strict);
  const naming = { prefix, mapping: checkMapping(mapping) };
  const candidates = getCore().Candidates.create();
  let file: CoreWeightFile | null = null;
  let count: number;
  try {
    if (weights instanceof ArrayBuffer || weights instanceof Uint8Array) {
      file = readFile(weights);
      count = addStored(candidates, file, naming);
    } else {
      if (!isNamedTensors(weights)) {
        fail('weights', weights, 'an ArrayBuffer or Uint8Array (safetensors), or a Map or object of Tensors');
      }
      count = addTensors(candidates, weights, naming);
    }
    const loaded =
      state.dtype === 'float32'
        ? candidates.loadFloat32(state.core, strict)
        : candidates.loadFloat64(state.core, strict);
    return {
      success: true,
      loadedCount: loaded.length,
      skippedCount: count - loaded.length,
      failedCount: 0,
      loadedParameters: loaded,
      failedParameters: [],
    };
  } finally {
    candidates.delete();
    file?.delete();
  }
}

/** See DiffusionCrossAttention.saveWeights. */
export function saveFrom(
  { core, dtype }: LayerState,
  options: { prefix?: string; dtype?: 'F32' | 'F16' | 'BF16' | 'F64' } | undefined,
): Uint8Array {
  const { prefix = '', dtype: stored = dtype === 'float32' ? 'F32' : 'F64' } = checkOptions(
    'options',
    options,
  );
  checkString('prefix', prefix);
  checkString('dtype', stored);
  const { saveFloat32, saveFloat64 } = getCore();
  return takeBytes((dtype === 'float32' ? saveFloat32 : saveFloat64)(core, prefix, stored));
}
