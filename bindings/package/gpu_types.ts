// WebGPU's own classes, where the program's types know them (TypeScript's lib.dom, @webgpu/types); else nothing is known of
// them: a program for Node needs no types of a browser.

type Known = typeof globalThis;

export type UsersBuffer = Known extends { GPUBuffer: { prototype: infer Buffer } } ? Buffer : unknown;
export type UsersDevice = Known extends { GPUDevice: { prototype: infer Device } } ? Device : unknown;
