// Named weights: which file or memory tensor is meant for which parameter.
import { takeBytes, withBytes } from './bytes';
import { checkOptions, checkString, fail, show } from './checks';
import type { CoreLayer, CoreWeightFile, DType } from './core';
import { getCore } from './runtime';
import { Tensor, tensorHandle } from './tensor';

export interface WeightLoadValidation {
  /** Parameters that a weight is meant for. */
  matched: string[];
  /** Weights that no parameter takes, those mapped to null among them. */
  unmatchedWeights: string[];
  /** Parameters that no weight is meant for. */
  missingParameters: string[];
  /** Parameters whose weight has another shape; looked for where tensors were given, not names alone. */
  shapeMismatches: { name: string; expected: number[]; actual: number[] }[];
  /** No parameter is missing. */
  readonly isComplete: boolean;
  /** No weight has another shape than its parameter. */
  readonly isValid: boolean;
}

export interface WeightLoadResult {
  success: boolean;
  loadedCount: number;
  /** Weights of the source that no parameter took: without the prefix, mapped to null, or (not strict) unknown. */
  skippedCount: number;
  failedCount: number;
  loadedParameters: string[];
  failedParameters: { name: string; error: string }[];
  errorMessage?: string;
}

/** Asked again after a user's function has run, which may have disposed of the layer. */
type GetLayer = () => CoreLayer;

export type NamedTensors = Map<string, Tensor> | Record<string, Tensor>;
export type WeightMapping = (name: string) => string | null;
export type WeightSource = ArrayBuffer | Uint8Array | NamedTensors;
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

function isNamedTensors(source: unknown): source is NamedTensors {
  if (source instanceof Map) return true;
  return (
    typeof source === 'object' &&
    source !== null &&
    !(Symbol.iterator in source) &&
    !ArrayBuffer.isView(source)
  );
}

/** Name by name, the weight's shape where it is known. */
function* namesAndShapes(weights: Iterable<string> | NamedTensors): Iterable<[string, number[] | null]> {
  if (isNamedTensors(weights)) {
    for (const [name, tensor] of toEntries(weights)) {
      tensorHandle(`weights[${show(name)}]`, tensor);
      yield [checkString('names', name), [...tensor.shape]];
    }
    return;
  }
  if (typeof weights !== 'object' || weights === null) {
    fail('names', weights, 'an iterable of strings, or a Map or object of Tensors');
  }
  for (const name of weights) yield [checkString('names', name), null];
}

/** Compares names, and shapes where tensors are given, with the parameters'. */
export function validateAgainst(
  getLayer: GetLayer,
  weights: Iterable<string> | NamedTensors,
  mapping?: WeightMapping,
): WeightLoadValidation {
  const map = checkMapping(mapping);
  const matched = new Set<string>();
  const unmatchedWeights: string[] = [];
  const shapeMismatches: WeightLoadValidation['shapeMismatches'] = [];
  for (const [name, actual] of namesAndShapes(weights)) {
    const parameter = map(name);
    const expected = parameter === null ? undefined : getLayer().parameterShape(parameter);
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

/** Calls add(name, parameter, index) for every name that has the prefix; parameter null: to be ignored. */
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
  return withBytes(getCore(), source, (bytes) => getCore().WeightFile.read(bytes));
}

function toEntries(weights: NamedTensors): [string, Tensor][] {
  return weights instanceof Map ? [...weights] : Object.entries(weights);
}

/** Loads into a layer, all or nothing. Throws WeightsError, and then nothing has changed. */
export function loadInto(
  getLayer: GetLayer,
  dtype: DType,
  weights: WeightSource,
  options: LoadWeightsOptions | undefined,
): WeightLoadResult {
  const { prefix = '', mapping, strict = true } = checkOptions('options', options);
  checkString('prefix', prefix);
  if (typeof strict !== 'boolean') fail('strict', strict, 'true or false');
  const naming = { prefix, mapping: checkMapping(mapping) };
  const core = getCore();
  const candidates = core.Candidates.create();
  let file: CoreWeightFile | null = null;
  let count: number;
  try {
    if (weights instanceof ArrayBuffer || weights instanceof Uint8Array) {
      file = readFile(weights);
      const stored = file;
      const names = stored.names();
      count = names.length;
      forNames(names, naming, (_name, parameter, index) => {
        if (parameter !== null) candidates.addStored(parameter, stored, index);
      });
    } else {
      if (!isNamedTensors(weights)) {
        fail('weights', weights, 'an ArrayBuffer or Uint8Array (safetensors), or a Map or object of Tensors');
      }
      const entries = toEntries(weights);
      count = entries.length;
      forNames(
        entries.map(([name]) => checkString('weights', name)),
        naming,
        (name, parameter, index) => {
          const tensor = entries[index]![1];
          const handle = tensorHandle(`weights[${show(name)}]`, tensor);
          if (parameter === null) return;
          if (tensor.dtype === 'float32') candidates.addFloat32(name, parameter, handle);
          else candidates.addFloat64(name, parameter, handle);
        },
      );
    }
    const load = dtype === 'float32' ? candidates.loadFloat32 : candidates.loadFloat64;
    const loaded = load.call(candidates, getLayer(), strict);
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
  return takeBytes((dtype === 'float32' ? core.saveFloat32 : core.saveFloat64)(layer, prefix, stored));
}
