// Which weight of a file belongs to which parameter of a layer. Decided from names, types and shapes alone,
// before any value is read.
import { isSameShape, show } from './checks';
import type { CoreLayer } from './core';
import { WeightsError } from './errors';

/** A weight that may be loaded. */
export interface NamedWeight {
  readonly name: string;
  /** As stored: 'F32', … */
  readonly type: string;
  readonly shape: readonly number[];
}

interface Match<W> {
  readonly parameter: string;
  readonly weight: W;
  /** The factors of a weight of 8 bits: one for all rows, or one for each. */
  readonly scale: W | null;
}

/** The weight of each parameter, and the number of weights that are not used. */
export interface Matches<W> {
  matches: Match<W>[];
  skipped: number;
}

/** Returns the parameter for a name without the prefix, or null to ignore the weight. */
export type WeightMapping = (name: string) => string | null;
export interface Naming {
  prefix: string;
  mapping: WeightMapping | null;
  strict: boolean;
}

export const floatTypes = ['F64', 'F32', 'F16', 'BF16', 'F8_E4M3', 'F8_E5M2'];
const maxListed = 3;

/** Returns the first few of a list, and how many more there are. */
export function list(names: readonly string[]): string {
  const more = names.length - maxListed;
  const shown = names
    .slice(0, maxListed)
    .map((name) => (name.length > 100 ? `${name.slice(0, 100)}…` : name));
  return shown.join(', ') + (more > 0 ? ` (and ${more} more)` : '');
}

/**
 * True if a weight's shape is the parameter's, or that of a 1×1 convolution, [out, in, 1, 1], for a matrix.
 */
export function fitsShape(shape: readonly number[], parameter: readonly number[]): boolean {
  const isConvolution =
    parameter.length === 2 && shape.length > 2 && shape.slice(2).every((size) => size === 1);
  return shape.length <= 4 && isSameShape(isConvolution ? shape.slice(0, 2) : shape, parameter);
}

/**
 * Returns the prefix that applies: with a final dot if it was left out. A mapping receives exactly what
 * follows the prefix.
 */
function completePrefix(weights: readonly NamedWeight[], { prefix, mapping }: Naming): string {
  if (prefix === '' || prefix.endsWith('.') || mapping !== null) return prefix;
  const hasName = (start: string): boolean => weights.some(({ name }) => name.startsWith(start));
  return hasName(`${prefix}.`) && !hasName(`${prefix}to_`) ? `${prefix}.` : prefix;
}

/** Returns the prefixes under which there is an attention; those whose weights fit the layer come first. */
function attentionPrefixes(weights: readonly NamedWeight[], layer: CoreLayer): string[] {
  const fits = new Map<string, boolean>();
  for (const { name, shape } of weights) {
    const parameter = /(?:^|\.)(to_[qkv]\.weight)$/.exec(name)?.[1];
    if (parameter === undefined) continue;
    const prefix = name.slice(0, -parameter.length);
    fits.set(prefix, (fits.get(prefix) ?? true) && fitsShape(shape, layer.parameterShape(parameter)!));
  }
  const all = [...fits.keys()];
  return [...all.filter((prefix) => fits.get(prefix)), ...all.filter((prefix) => !fits.get(prefix))];
}

/** Names of the factors of a weight, and others that belong to a weight of 8 bits, as files have them. */
const scaleNames = (weight: string): string[] => [
  `${weight}_scale`,
  weight.replace(/weight$/, 'scale_weight'),
];
/** Factors of the layer's inputs, for arithmetic in 8 bits. Of no use here. */
const inputScaleNames = (weight: string): string[] =>
  ['input_scale', 'scale_input'].map((name) => weight.replace(/weight$/, name));

/** The weights of 8 bits of a file, and what is stored with them. */
class Scales<W extends NamedWeight> {
  readonly #byName: ReadonlyMap<string, W>;
  readonly #companions = new Set<string>();

  constructor(weights: readonly W[]) {
    this.#byName = new Map(weights.map((weight) => [weight.name, weight]));
    for (const { name, type } of weights) {
      if (!type.startsWith('F8_')) continue;
      for (const other of [...scaleNames(name), ...inputScaleNames(name)]) {
        if (other !== name) this.#companions.add(other);
      }
    }
  }

  /** True for a tensor that is no weight itself. */
  isCompanion(name: string): boolean {
    return this.#companions.has(name);
  }

  /** Returns the factors of a weight; null if it has none. Throws WeightsError if they cannot be applied. */
  of({ name, type, shape }: W): W | null {
    if (!type.startsWith('F8_')) return null;
    const found = [...new Set(scaleNames(name))].filter((other) => other !== name && this.#byName.has(other));
    for (const other of this.#byName.keys()) {
      const isUnknown = other.startsWith(`${name}_`) || other.startsWith(`${name}.`);
      if ((isUnknown && !found.includes(other)) || found.length > 1) {
        throw new WeightsError(
          `weight ${show(name)} has dtype ${type} and is stored with ` +
            `${show(isUnknown ? other : found[1])}; expected only one of weight_scale or scale_weight`,
        );
      }
    }
    if (found.length === 0) return null;
    const scale = this.#byName.get(found[0]!)!;
    const rows = shape[0] ?? 1;
    const isScalar = scale.shape.length <= shape.length && scale.shape.every((size) => size === 1);
    const isPerRow =
      scale.shape[0] === rows &&
      scale.shape.slice(1).every((size) => size === 1) &&
      scale.shape.length <= shape.length;
    if (!floatTypes.includes(scale.type) || !(isScalar || isPerRow)) {
      throw new WeightsError(
        `scale ${show(scale.name)} has dtype ${scale.type} and shape ${show(scale.shape)}; expected ` +
          `floating-point numbers of shape [], [1], [${rows}] or [${rows}, 1] for weight ${show(name)}`,
      );
    }
    return scale;
  }
}

function checkWeight(
  { name, type, shape }: NamedWeight,
  parameter: string,
  expected: readonly number[],
): void {
  if (!fitsShape(shape, expected)) {
    throw new WeightsError(
      `weight ${show(name)} has shape ${show(shape)}; expected ${show(expected)} for parameter ${parameter}`,
    );
  }
  if (!floatTypes.includes(type)) {
    throw new WeightsError(
      `weight ${show(name)} has dtype ${show(type)}; ` +
        `expected ${floatTypes.join(', ')} for parameter ${parameter}`,
    );
  }
}

/** The options of a layer on which parameters depend, in the order of their names. */
const parameterOptions: readonly (readonly [RegExp, string])[] = [
  [/(^|\.)to_[qkv]\.bias$/, 'bias'],
  [/(^|\.)norm_[qk]\.(weight|bias)$/, 'queryKeyNorm'],
  [/(^|\.)to_out\.0\.bias$/, 'outputBias'],
];

/** Describes what a strict load misses or does not expect. */
function mismatch(
  missing: readonly string[],
  unexpected: readonly string[],
  prefix: string,
  prefixes: readonly string[],
): string {
  const parts: string[] = [];
  if (missing.length > 0) parts.push(`missing ${list(missing.map((name) => prefix + name))}`);
  if (unexpected.length > 0) {
    parts.push(`unexpected ${list(unexpected)}; strict: false ignores weights without a parameter`);
  }
  // If all weights are missing, the reason is another one.
  const names = missing.some((name) => name === 'to_q.weight') ? unexpected : [...missing, ...unexpected];
  const options = parameterOptions.filter(([pattern]) => names.some((name) => pattern.test(name)));
  if (options.length > 0) {
    parts.push(`the layer has such a parameter by its option ${options.map(([, name]) => name).join(', ')}`);
  }
  const others = prefixes.filter((other) => other !== prefix);
  if (missing.length > 0 && others.length > 0) {
    const named = others.map((other) => (other === '' ? "''" : other));
    parts.push(`the file has attention weights under these prefixes: ${list(named)}`);
  } else if (missing.length > 0 && prefixes.length === 0) {
    parts.push('the file has no attention weights (to_q.weight, …)');
  }
  return `the weights do not match the layer: ${parts.join('; ')}`;
}

/**
 * Returns the weight of each parameter, in the order of the parameters, and the number of weights that are
 * neither loaded nor factors of those that are. Throws WeightsError for a wrong shape or type, for two
 * weights of one parameter and, if strict, for missing parameters and for weights with the prefix that have
 * no parameter, as PyTorch's load_state_dict does.
 */
export function matchWeights<W extends NamedWeight>(
  layer: () => CoreLayer,
  parameters: readonly string[],
  weights: readonly W[],
  naming: Naming,
): Matches<W> {
  const prefix = completePrefix(weights, naming);
  const scales = new Scales(weights);
  const found = new Map<string, W>();
  const unexpected: string[] = [];
  const mapped: [string, W][] = [];
  for (const weight of weights) {
    if (!weight.name.startsWith(prefix) || scales.isCompanion(weight.name)) continue;
    const name = weight.name.slice(prefix.length);
    const parameter = naming.mapping === null ? name : naming.mapping(name);
    if (parameter !== null) mapped.push([parameter, weight]);
  }
  // The mapping is the user's function and may have disposed the layer.
  const core = layer();
  for (const [parameter, weight] of mapped) {
    if (!parameters.includes(parameter)) {
      unexpected.push(weight.name);
      continue;
    }
    const other = found.get(parameter);
    if (other !== undefined) {
      throw new WeightsError(
        `weights ${show(other.name)} and ${show(weight.name)} both map to parameter ${parameter}; ` +
          'expected one',
      );
    }
    checkWeight(weight, parameter, core.parameterShape(parameter)!);
    found.set(parameter, weight);
  }
  const missing = parameters.filter((parameter) => !found.has(parameter));
  if (naming.strict && missing.length + unexpected.length > 0) {
    throw new WeightsError(mismatch(missing, unexpected, prefix, attentionPrefixes(weights, core)));
  }
  const matches = parameters
    .filter((parameter) => found.has(parameter))
    .map((parameter): Match<W> => {
      const weight = found.get(parameter)!;
      return { parameter, weight, scale: scales.of(weight) };
    });
  const used = matches.length + matches.filter(({ scale }) => scale !== null).length;
  return { matches, skipped: weights.length - used };
}
