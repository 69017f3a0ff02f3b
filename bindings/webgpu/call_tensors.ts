// The package's tensors of a call, as what a GpuLayer takes and gives, and as what the scheduler weighs.
import type { AcceleratedLayer, CallTensors, Location } from '../package/accelerator';
import { ArgumentError, DeviceError } from '../package/errors';
import { residentOf, Tensor, wrapResident } from '../package/tensor';
import { type CallSizes, checkCall, maskBits } from './call';
import type { CallWork, Work } from './cost_model';
import type { Device } from './device';
import type { Operand, Operands, Result } from './operands';
import { GpuTensor } from './resident_tensor';

/** The sizes of a call. Throws the core's own ShapeError, ArgumentError where the layer can't take these tensors. */
export function checkTensors(layer: AcceleratedLayer, { input, context, mask }: CallTensors): CallSizes {
  const call = checkCall(layer, input.shape, context?.shape ?? null, mask?.shape ?? null);
  if (mask !== null && call.mask.kind === 'additive' && mask.dtype !== 'float32') {
    throw new ArgumentError(`mask is of another dtype than the layer; an additive mask takes the layer's`);
  }
  // Told now, before anything is done.
  if (mask !== null && mask.location === 'wasm' && call.mask.kind === 'keys') maskBits('keys', mask.view());
  return call;
}

const bytesOf = (tensor: Tensor | null): number => (tensor === null ? 0 : 4 * tensor.size);
/** Bytes of those tensors that are at another place. */
const bytesElsewhere = (tensors: readonly (Tensor | null)[], place: Location): number =>
  tensors.reduce((sum, tensor) => sum + (tensor?.location === place ? 0 : bytesOf(tensor)), 0);

/** The same elements: what the caller disposes of meanwhile does no harm. */
export const shared = <T extends Tensor | null>(tensor: T): T =>
  (tensor === null ? null : tensor.reshape(tensor.shape)) as T;
export const allShared = ({ input, context, mask }: CallTensors): CallTensors => ({
  input: shared(input),
  context: shared(context),
  mask: shared(mask),
});
export const disposeAll = ({ input, context, mask }: CallTensors): void =>
  [input, context, mask].forEach((tensor) => tensor?.dispose());

/** Throws DeviceError where a tensor is on another device. */
export function operandOf(tensor: Tensor, device: Device): Operand {
  const resident = residentOf(tensor);
  if (resident === null) return { values: () => tensor.view() as Float32Array };
  if ((resident as GpuTensor).device !== device) {
    throw new DeviceError('a Tensor is on a device that is not in use any more');
  }
  return { resident: resident.buffer };
}

export function operandsOf(call: CallSizes, { input, context, mask }: CallTensors, device: Device): Operands {
  let maskOperand: Operand | null = mask && operandOf(mask, device);
  if (mask !== null && maskOperand !== null && 'values' in maskOperand) {
    maskOperand = { values: () => maskBits(call.mask.kind, mask.view()) };
  }
  return {
    input: operandOf(input, device),
    context: context && operandOf(context, device),
    mask: maskOperand,
  };
}

export function toTensor(device: Device, result: Result, shape: readonly number[]): Tensor {
  if ('storage' in result) return wrapResident(new GpuTensor(device, result.storage, shape));
  return Tensor.from(result.values, shape, 'float32');
}

/** What a call is for each device: FLOPs, and bytes to and from where its tensors are and its result shall be. */
export function workOf(
  kind: string,
  { input, context, mask }: CallTensors,
  location: Location,
  wasmFlops: number,
  gpuFlops: number,
): CallWork {
  const tensors = [input, context, mask];
  const workAt = (place: Location, flops: number): Work => {
    const toHere = bytesElsewhere(tensors, place);
    const fromHere = location === place ? 0 : bytesOf(input);
    return place === 'webgpu'
      ? { flops, uploadBytes: toHere, downloadBytes: fromHere }
      : { flops, uploadBytes: fromHere, downloadBytes: toHere };
  };
  const places = tensors.map((tensor) => tensor && `${tensor.location} ${tensor.shape.join('×')}`);
  return {
    key: [kind, wasmFlops, ...places, location].join(', '),
    wasm: workAt('wasm', wasmFlops),
    webgpu: workAt('webgpu', gpuFlops),
  };
}
