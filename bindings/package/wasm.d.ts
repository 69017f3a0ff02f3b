// Modules of dist/ that are loaded on demand: the two entries of bindings/webgpu …
declare module '*/webgpu.js' {
  export const start: import('./accelerator').StartAccelerator;
}
declare module '*/denoiser_webgpu.js' {
  export const start: import('./denoiser/training_on_gpu').StartTraining;
}
// … other modules of bindings/package, in files of their own …
declare module '*/node.js' {
  export const makePlatform: typeof import('./platform_node').makePlatform;
}
declare module '*/threads.js' {
  export const createThreads: typeof import('./threads').createThreads;
}
declare module '*/wasm_binary.js' {
  export const compileBinary: typeof import('./wasm_binary').compileBinary;
}
declare module '*embedded_relaxed.js' {
  export const compile: () => Promise<WebAssembly.Module>;
}
declare module '*embedded_baseline.js' {
  export const compile: () => Promise<WebAssembly.Module>;
}
// … and the modules that Emscripten writes to dist/wasm, with their files as data URLs.
declare module '*.js' {
  const create: import('./module_sources').Loader<never>['default'];
  export default create;
  export const wasmUrl: () => URL;
}
declare module '*.wasm' {
  const dataUrl: string;
  export default dataUrl;
}
