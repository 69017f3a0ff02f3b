// Modules of dist/ that are loaded when init has chosen one: bindings/webgpu, which is an entry of its own …
declare module '*/webgpu.js' {
  export const start: import('./accelerator').StartAccelerator;
}
// … and those that Emscripten writes into dist/wasm.
declare module '*.js' {
  const create: (options: import('./module').CoreOptions) => Promise<never>;
  export default create;
}
