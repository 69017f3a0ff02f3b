// Which tensors of a LoRA file belong to a layer. Decided from names, types and shapes alone, before any
// value is read.
import { show, sizeOf } from './checks';
import type { CoreLayer } from './core';
import { WeightsError } from './errors';
import { type LoraName, moduleKey, parseLoraName } from './lora_names';
import { fitsShape, floatTypes, list, type NamedWeight } from './weight_matching';

/** The update of a parameter. */
export interface LoraMatch<W> {
  readonly parameter: string;
  readonly rank: number;
  readonly down: W;
  readonly up: W;
  readonly alpha: W | null;
}
export interface LoraMatches<W> {
  readonly matches: LoraMatch<W>[];
  /** Tensors that are not loaded. */
  readonly ignored: string[];
}

interface Named<W> extends LoraName {
  readonly weight: W;
}

const parameterOf = ({ projection }: LoraName): string =>
  projection === 'to_out' ? 'to_out.0.weight' : `${projection}.weight`;

/** Returns the adapters' tensors of attentions. */
function adapters<W extends NamedWeight>(weights: readonly W[]): Named<W>[] {
  return weights.flatMap((weight) => {
    const name = parseLoraName(weight.name);
    return name === null || name.part === null ? [] : [{ ...name, weight }];
  });
}

/** True if the matrix has the layer's number of features. */
function fitsLayer(core: CoreLayer, named: Named<NamedWeight>): boolean {
  const expected = core.parameterShape(parameterOf(named));
  const { shape } = named.weight;
  if (expected === undefined) return false;
  if (named.part === 'down') return shape[1] === expected[1];
  return named.part !== 'up' || shape[0] === expected[0];
}

/** Describes why no attention, or more than one, is selected. Those that fit the layer come first. */
function failToSelect<W extends NamedWeight>(
  core: CoreLayer,
  all: readonly Named<W>[],
  prefix: string,
): never {
  const modules = new Map<string, { prefix: string; fits: boolean }>();
  for (const named of all) {
    const other = modules.get(named.module);
    const fits = (other?.fits ?? true) && fitsLayer(core, named);
    modules.set(named.module, { prefix: other?.prefix ?? named.prefix, fits });
  }
  const prefixes = [...modules.values()]
    .sort((left, right) => Number(right.fits) - Number(left.fits))
    .map((module) => (module.prefix === '' ? "''" : module.prefix));
  if (prefixes.length === 0) {
    throw new WeightsError('the file has no LoRA of an attention (to_q.lora_A.weight, …)');
  }
  throw new WeightsError(
    `prefix is ${show(prefix)}, which selects none of the file's LoRAs; ` +
      `expected one of ${list(prefixes)}, or the path of such a module in another spelling`,
  );
}

/**
 * Returns the tensors of the layer's module. Without a prefix, that is a single layer, or the only attention
 * of the file. Empty if the prefix is the path of an attention that the file has no LoRA of.
 */
function select<W extends NamedWeight>(core: CoreLayer, weights: readonly W[], prefix: string): Named<W>[] {
  const all = adapters(weights);
  const key = moduleKey(prefix);
  const ofModule = all.filter(({ module }) => module === key);
  if (ofModule.length > 0) return ofModule;
  if (key === '') {
    return new Set(all.map(({ module }) => module)).size === 1 ? all : failToSelect(core, all, prefix);
  }
  // A prefix that is no path: 'layer1/'.
  const literal = weights.flatMap((weight) => {
    if (!weight.name.startsWith(prefix)) return [];
    const name = parseLoraName(weight.name.slice(prefix.length));
    return name === null || name.part === null || name.module !== '' ? [] : [{ ...name, weight }];
  });
  if (literal.length > 0 || (all.length > 0 && /attn\d*$/.test(key))) return literal;
  return failToSelect(core, all, prefix);
}

function checkMatrix(
  { name, type, shape }: NamedWeight,
  expected: readonly (number | string)[],
  fits: boolean,
  parameter: string,
): void {
  if (!fits) {
    throw new WeightsError(
      `weight ${show(name)} has shape ${show(shape)}; expected [${expected.join(', ')}] for ` +
        `parameter ${parameter}`,
    );
  }
  if (!floatTypes.includes(type)) {
    throw new WeightsError(
      `weight ${show(name)} has dtype ${show(type)}; ` +
        `expected ${floatTypes.join(', ')} for parameter ${parameter}`,
    );
  }
}

/** Matches the tensors of one parameter. */
function matchParameter<W extends NamedWeight>(
  core: CoreLayer,
  parameter: string,
  tensors: readonly Named<W>[],
): LoraMatch<W> {
  const parts = new Map<unknown, W>();
  for (const { part, weight } of tensors) {
    const other = parts.get(part);
    if (other !== undefined) {
      throw new WeightsError(
        `weights ${show(other.name)} and ${show(weight.name)} are both the ${String(part)} of ` +
          `parameter ${parameter}; expected one`,
      );
    }
    parts.set(part, weight);
  }
  const [down, up] = [parts.get('down'), parts.get('up')];
  if (down === undefined || up === undefined) {
    throw new WeightsError(
      `the file has ${show(tensors[0]!.weight.name)}, but no ${down === undefined ? 'down' : 'up'} matrix ` +
        `of parameter ${parameter}; expected both (lora_A and lora_B, or lora_down and lora_up)`,
    );
  }
  const [outFeatures, inFeatures] = core.parameterShape(parameter)! as [number, number];
  const rank = down.shape[0] ?? 0;
  checkMatrix(down, ['rank', inFeatures], rank > 0 && fitsShape(down.shape, [rank, inFeatures]), parameter);
  checkMatrix(up, [outFeatures, rank], fitsShape(up.shape, [outFeatures, rank]), parameter);
  const alpha = parts.get('alpha') ?? null;
  if (alpha !== null && (sizeOf(alpha.shape) !== 1 || !/^(F|BF|I|U|BOOL)/.test(alpha.type))) {
    throw new WeightsError(
      `weight ${show(alpha.name)} has dtype ${show(alpha.type)} and shape ${show(alpha.shape)}; ` +
        'expected one number, the alpha of a LoRA',
    );
  }
  return { parameter, rank, down, up, alpha };
}

/**
 * Returns the updates of the layer's parameters, in their order. Throws WeightsError if the layer's module
 * has tensors that are no LoRA, or no complete one, or if no module can be selected.
 */
export function matchLora<W extends NamedWeight>(
  core: CoreLayer,
  parameters: readonly string[],
  weights: readonly W[],
  prefix: string,
): LoraMatches<W> {
  const selected = select(core, weights, prefix);
  for (const named of selected) {
    const { part, weight, projection } = named;
    if (typeof part === 'object' && part !== null) {
      throw new WeightsError(
        `weight ${show(weight.name)} is of ${part.kind}; expected LoRA (A and B, or down and up)`,
      );
    }
    if (!parameters.includes(parameterOf(named))) {
      throw new WeightsError(
        `weight ${show(weight.name)} is of ${projection}, which the layer does not have`,
      );
    }
  }
  const matches = parameters.flatMap((parameter) => {
    const tensors = selected.filter((named) => parameterOf(named) === parameter);
    return tensors.length === 0 ? [] : [matchParameter(core, parameter, tensors)];
  });
  const used = new Set(selected.map(({ weight }) => weight));
  return { matches, ignored: weights.filter((weight) => !used.has(weight)).map(({ name }) => name) };
}
