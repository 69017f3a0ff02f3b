// Modules of dist/ that are loaded when they are asked for: bindings/webgpu, two entries of their own …
declare module '*/webgpu.js' {
  export const start: import('./accelerator').StartAccelerator;
}
declare module '*/denoiser_webgpu.js' {
  export const start: import('./denoiser/training_on_gpu').StartTraining;
}
// … and those that Emscripten writes into dist/wasm.
declare module '*.js' {
  const create: (options: import('./module').CoreOptions) => Promise<never>;
  export default create;
}
