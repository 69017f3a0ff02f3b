// Tensors in GPU memory, as tensor.ts uses them. bindings/webgpu implements them.
import type { CoreHandle, TypedArray } from './core';
import type { UsersBuffer } from './platform_types';

/** The memory that stores a tensor's elements. */
export type Location = 'wasm' | 'webgpu';

/** A tensor's float32 elements in GPU memory. */
export interface ResidentTensor extends CoreHandle {
  readonly buffer: UsersBuffer;
  shape(): number[];
  /** Returns the same elements under another shape: shared, not copied. One dimension may be -1. */
  reshaped(shape: readonly number[]): ResidentTensor;
  clone(): ResidentTensor;
  read(): Promise<TypedArray>;
}

/** Buffers and bytes of GPU memory in live tensors, layers and caches. */
export interface GpuMemoryInUse {
  buffers: number;
  bytes: number;
}

export interface GpuMemory {
  /** True if there is a device now. */
  readonly isAvailable: boolean;
  memoryInUse(): GpuMemoryInUse;
  /** Resolves when all submitted work is done. */
  synchronize(): Promise<void>;
  /** Copies elements, row by row, to GPU memory. Rejects with DeviceError if there is no device. */
  upload(values: Float32Array, shape: readonly number[]): Promise<ResidentTensor>;
  /** Wraps a buffer of the user without a copy. The buffer is not destroyed with the tensor. */
  wrapBuffer(buffer: UsersBuffer, shape: readonly number[]): ResidentTensor;
}

export const isResident = (handle: CoreHandle): handle is ResidentTensor => 'buffer' in handle;
