// Gradients and updates of the parameters of a layer, or of some of them.
import { checkArray, checkFinite, checkString, readOptions, show, sizeOf } from './checks';
import { ArgumentError } from './errors';
import type { LayerState } from './layer_state';

/** Returns those of a layer's parameters that an argument names, in the order of the parameters. */
export function checkParameterNames(state: LayerState, argument: string, value: unknown): string[] {
  const given = checkArray(argument, value, 'an array of names of parameters');
  given.forEach((name, index) => checkString(`${argument}[${index}]`, name));
  const all = state.core.parameterNames();
  const unknown = given.filter((name) => !all.includes(name as string));
  if (unknown.length > 0) {
    throw new ArgumentError(
      `${argument} has the unknown names ${show(unknown)}; expected some of ${show(all)}`,
    );
  }
  return all.filter((name) => given.includes(name));
}

/** See DiffusionCrossAttention.updateParameters. */
export function updateParameters(
  state: LayerState,
  learningRate: number,
  options: { only?: readonly string[] } | undefined,
): void {
  const { only } = readOptions('options', options, ['only']);
  checkFinite('learningRate', learningRate);
  const names = only === undefined ? null : checkParameterNames(state, 'only', only);
  state.update((core) => {
    if (names === null) return core.updateParameters(learningRate);
    for (const name of names) core.updateParameter(name, learningRate);
    core.clearGradients();
  });
}

/** See DiffusionCrossAttention.setTrainableParameters. */
export function setTrainableParameters(state: LayerState, names: readonly string[]): void {
  const trainable = checkParameterNames(state, 'names', names);
  const { core } = state;
  for (const name of core.parameterNames()) core.setTrainable(name, trainable.includes(name));
  state.trainable = trainable;
}

/** Adds gradients that were computed elsewhere: of all parameters, in their order. */
export function addGradients(
  { core }: LayerState,
  computed: readonly Float32Array[],
  trainable: readonly string[] | null,
): void {
  const gradients = core.gradientsView();
  const isFrozen = new Uint8Array(trainable === null ? 0 : gradients.length);
  if (trainable !== null) {
    let first = 0;
    for (const name of core.parameterNames()) {
      const end = first + sizeOf(core.parameterShape(name)!);
      isFrozen.fill(Number(!trainable.includes(name)), first, end);
      first = end;
    }
  }
  let first = 0;
  for (const part of computed) {
    for (let index = 0; index < part.length; ++index) {
      if (!isFrozen[first + index]) gradients[first + index]! += part[index]!;
    }
    first += part.length;
  }
}
