// Access to the parameters of a layer, all at once or by name.
import { checkString } from './checks';
import { ShapeError } from './errors';
import type { LayerState } from './layer_state';
import { checkNumbers, type NumbersLike } from './numbers';
import { Tensor, tensorHandle } from './tensor';

export function setParameters(state: LayerState, count: number, parameters: NumbersLike): void {
  state.requireAlive();
  const { dtype } = state;
  const checkLength = (length: number): void => {
    if (length !== count) throw new ShapeError(`parameters has ${length} elements; expected ${count}`);
  };
  // Reading an array may run the caller's code, which may dispose the layer.
  const numbers = checkNumbers('parameters', parameters, checkLength, dtype);
  state.requireAlive();
  const values = Tensor.from(numbers.values, [count], dtype);
  try {
    state.beforeChange();
    const { core } = state;
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
