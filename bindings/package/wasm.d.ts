// The modules that Emscripten writes into dist/wasm: the only imports here whose names end so.
declare module '*.js' {
  const createCore: import('./core').CoreFactory;
  export default createCore;
}
