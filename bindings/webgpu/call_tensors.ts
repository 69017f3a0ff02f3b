// Between the package's Tensors and the operands of a GpuLayer, and the work of a call for the scheduler.
import type { AcceleratedLayer, CallTensors } from '../package/accelerator';
import { ArgumentError, DeviceError } from '../package/errors';
import type { Location } from '../package/resident';
import { residentOf, Tensor, wrapResident } from '../package/tensor';
import { type CallSizes, maskBits } from './call';
import { checkCall } from './call_check';
import type { CallWork, Work } from './cost_model';
import type { Device } from './device';
import type { Operand, Operands, Result } from './operands';
import { GpuTensor } from './resident_tensor';

/**
 * Returns the sizes of a call. Throws the core's ShapeError, ArgumentError if the layer does not support the
 * tensors.
 */
export function checkTensors(layer: AcceleratedLayer, { input, context, mask }: CallTensors): CallSizes {
  const maskShape = mask?.shape ?? null;
  const call = checkCall(layer, input.shape, context?.shape ?? null, maskShape, mask?.isBoolean);
  if (mask === null) return call;
  if (call.mask.kind === 'additive' && mask.dtype !== 'float32') {
    throw new ArgumentError(
      "mask is additive and has another dtype than the layer; expected the layer's dtype",
    );
  }
  // Throws before anything is computed.
  if (call.mask.kind === 'keys' && mask.location === 'wasm') maskBits('keys', mask.view());
  return call;
}

const bytesOf = (tensor: Tensor | null): number => (tensor === null ? 0 : 4 * tensor.size);

/** Returns the bytes of those tensors that are in the other memory. */
const bytesElsewhere = (tensors: readonly (Tensor | null)[], location: Location): number =>
  tensors.reduce((sum, tensor) => sum + (tensor?.location === location ? 0 : bytesOf(tensor)), 0);

/**
 * Returns a Tensor with the same elements, which stays valid if the caller disposes the original during the
 * call.
 */
export const shareTensor = <T extends Tensor | null>(tensor: T): T =>
  (tensor === null ? null : tensor.reshape(tensor.shape)) as T;
export const shareTensors = ({ input, context, mask }: CallTensors): CallTensors => ({
  input: shareTensor(input),
  context: shareTensor(context),
  mask: shareTensor(mask),
});
export const disposeTensors = ({ input, context, mask }: CallTensors): void =>
  [input, context, mask].forEach((tensor) => tensor?.dispose());

/** Throws DeviceError if the tensor is in the memory of another device. */
export function operandOf(tensor: Tensor, device: Device): Operand {
  const resident = residentOf(tensor);
  if (resident === null) return { values: () => tensor.view() as Float32Array };
  if ((resident as GpuTensor).device !== device) {
    throw new DeviceError('a Tensor is in the memory of a device that is no longer in use');
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

/**
 * Returns the FLOPs and transferred bytes of a call for each device. `location`: the requested memory of the
 * result.
 */
export function workOf(
  operation: string,
  { input, context, mask }: CallTensors,
  outputBytes: number,
  location: Location,
  wasmFlops: number,
  gpuFlops: number,
): CallWork {
  const tensors = [input, context, mask];
  const workAt = (device: Location, flops: number): Work => {
    const inBytes = bytesElsewhere(tensors, device);
    const outBytes = location === device ? 0 : outputBytes;
    return device === 'webgpu'
      ? { flops, uploadBytes: inBytes, downloadBytes: outBytes }
      : { flops, uploadBytes: outBytes, downloadBytes: inBytes };
  };
  const operands = tensors.map((tensor) => tensor && `${tensor.location} ${tensor.shape.join('×')}`);
  return {
    key: [operation, wasmFlops, ...operands, location].join(', '),
    wasm: workAt('wasm', wasmFlops),
    webgpu: workAt('webgpu', gpuFlops),
  };
}
