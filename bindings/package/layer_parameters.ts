// Access to the parameters of a layer, all at once or by name.
import { checkNumbers, checkString } from './checks';
import { ShapeError } from './errors';
import type { LayerState } from './layer_state';
import { Tensor, tensorHandle } from './tensor';

export function setParameters(state: LayerState, count: number, parameters: ArrayLike<number>): void {
  const { core, dtype } = state;
  const numbers = checkNumbers('parameters', parameters);
  if (numbers.length !== count) {
    throw new ShapeError(`parameters has ${numbers.length} elements; expected ${count}`);
  }
  const values = Tensor.from(numbers, [numbers.length], dtype);
  try {
    state.beforeChange();
    core.setParameters(tensorHandle('parameters', values, dtype));
    state.parametersVersion++;
  } finally {
    values.dispose();
  }
}

export function getParameter({ core, dtype }: LayerState, name: string): Tensor | undefined {
  const shape = core.parameterShape(checkString('name', name));
  if (shape === undefined) return undefined;
  return Tensor.from(core.parameterView(name)!, shape, dtype);
}

export function setParameter(state: LayerState, name: string, value: Tensor): boolean {
  const handle = tensorHandle('value', value, state.dtype);
  checkString('name', name);
  state.beforeChange();
  const isSet = state.core.setParameter(name, handle);
  if (isSet) state.parametersVersion++;
  return isSet;
}
