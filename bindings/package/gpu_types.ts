// Types of WebGPU: those of TypeScript's lib.dom or of @webgpu/types if the program has them, else unknown.
// So a program for Node needs no browser types.

type Known = typeof globalThis;

/** GPUBuffer, or unknown without WebGPU's types. */
export type UsersBuffer = Known extends { GPUBuffer: { prototype: infer Buffer } } ? Buffer : unknown;
/** GPUDevice, or unknown without WebGPU's types. */
export type UsersDevice = Known extends { GPUDevice: { prototype: infer Device } } ? Device : unknown;
