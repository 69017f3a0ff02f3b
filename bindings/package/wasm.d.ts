// Modules of dist/ that are loaded on demand: the two entries of bindings/webgpu …
declare module '*/webgpu.js' {
  export const start: import('./accelerator').StartAccelerator;
}
declare module '*/denoiser_webgpu.js' {
  export const start: import('./denoiser/training_on_gpu').StartTraining;
}
// … and the modules that Emscripten writes to dist/wasm.
declare module '*.js' {
  const create: (options: import('./module').CoreOptions) => Promise<never>;
  export default create;
}
