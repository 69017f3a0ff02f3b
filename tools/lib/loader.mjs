// Adapts the JavaScript that Emscripten writes for a WebAssembly module. The result depends on no
// environment: the package compiles the module and starts the workers (bindings/package/module.ts).

/** Removed or replaced text of Emscripten 6, whose output has no line breaks. */
const edits = [
  // Locating and fetching the .wasm file.
  [/var ENVIRONMENT_IS_NODE=.*?;/, ''],
  [/var _scriptName=.*?(?=var out=)/, ''],
  [/var wasmBinary;/, ''],
  [/var wasmBinaryFile;function findWasmBinary.*?(?=function getWasmImports)/, ''],
  [/function receiveInstantiationResult\(result\)\{.*?\}(?=var info)/, ''],
  [
    /wasmBinaryFile\?\?=.*?return exports\}/,
    'var module=await Module["wasm"];' +
      'return receiveInstance(await WebAssembly.instantiate(module,info),module)}',
  ],
];

const threadEdits = [
  // Starting workers.
  [/ENVIRONMENT_IS_WORKER&&globalThis\.name=="em-pthread"/, '!!Module["isThread"]'],
  [/new Worker\(new URL\(".*?\}\)/, 'Module["createWorker"]()'],
  [/var isPthread=.*/, ''],
  // An error rejects the promise of the module, instead of leaving it pending.
  [/addOnPreRun\(async.*?\}\)(?=\},terminateAllThreads)/, ''],
  [/(?<=wasmExports=await createWasm\(\);)/, 'await PThread.loadWasmModuleToAllWorkers();'],
  [/function preRun\(\)\{.*?\}/, ''],
  [/preRun\(\);if\(runDependencies\)\{.*?\}/, ''],
  [/var callRuntimeCallbacks=.*?(?=var spawnThread)/, ''],
  [/worker\.onerror=e=>\{.*?throw e\};/, ''],
  // A thread that cannot be created does not answer. Otherwise, it would answer, then fail.
  [/createWasm\(\);run\(\);startWorker\(\)/, 'createWasm().then(()=>{run();startWorker()})'],
  // Functions of the module that threads call. There are none.
  [/for\(const handler of msgData\.handlers\)\{.*?\}(?=wasmMemory=)/, ''],
  [/var handlers=\[\].*?(?=worker\.postMessage)/, ''],
  [/(?<=cmd:1,)handlers,/, ''],
];

function edit(loader, [pattern, replacement]) {
  const matches = loader.match(new RegExp(pattern, 'g'))?.length ?? 0;
  if (matches !== 1) {
    throw new Error(`Emscripten's loader has ${matches} matches of ${pattern}; adapt tools/lib/loader.mjs`);
  }
  return loader.replace(pattern, () => replacement);
}

/**
 * Minifies a module. Emscripten removes only its spaces. Rolldown also removes unused functions inside of
 * functions: its result is 5 % smaller than esbuild's.
 */
async function minified(code) {
  // Command lines must work before the npm packages are installed.
  const { minify } = await import('rolldown/utils');
  const options = { module: true, compress: { target: 'es2022' }, mangle: { toplevel: true } };
  const { code: result, errors } = await minify('loader.js', code, options);
  if (errors.length > 0) throw new Error(`the loader cannot be minified: ${errors[0].message}`);
  return result;
}

/**
 * Returns the loader of a module: a function that creates the module from a compiled one, and one that
 * returns the URL of the .wasm file in the form that bundlers recognize.
 */
export function adaptLoader(loader, name) {
  const all = name.endsWith('-threads') ? [...edits, ...threadEdits] : edits;
  const adapted = all.reduce(edit, loader);
  if (/import\.meta|\bimport\(|process\b/.test(adapted)) {
    throw new Error("Emscripten's loader depends on the environment; adapt tools/lib/loader.mjs");
  }
  return minified(`${adapted}
    export const wasmUrl = () => new URL('${name}.wasm', import.meta.url);`);
}

/** Returns the script of a module's worker threads. */
export const workerScript = (name) =>
  minified(`import create from './${name}.js';
    self.onmessageerror = () => { throw new Error('the module cannot be sent to a worker'); };
    create({ isThread: true });`);

/** Appends a custom section to a WebAssembly module: its name, by which init recognizes it. */
export function nameModule(wasm, name) {
  const text = (string) => [string.length, ...Buffer.from(string)];
  const section = [...text('variant'), ...Buffer.from(name)];
  return Buffer.concat([wasm, Buffer.from([0, section.length, ...section])]);
}
