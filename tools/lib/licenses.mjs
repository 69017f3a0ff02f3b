// dist/licenses.txt: the licences of everything that is compiled into the package. They require that they are
// distributed.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { project } from './paths.mjs';
import { SetUpError } from './steps.mjs';

/**
 * What the WebAssembly modules and their loaders contain: header-only libraries, and the archives of
 * Emscripten that `checkArchives` finds in a link. Texts are in tools/licenses, because neither Debian's
 * package nor emsdk has all of them.
 */
export const native = [
  { name: 'Emscripten (loader, embind)', text: 'emscripten' },
  { name: 'musl (C library, with changes by Emscripten)', text: 'musl' },
  { name: 'libc++, libc++abi, libunwind, compiler-rt (LLVM)', text: 'llvm' },
  { name: 'xsimd', text: 'xsimd' },
  { name: 'RapidJSON', text: 'rapidjson' },
];

/** The texts of tools/licenses that cover an archive of Emscripten, by its name without variant. */
const archives = {
  c: ['musl', 'emscripten'],
  c_optz: ['musl', 'emscripten'],
  'c++': ['llvm'],
  'c++abi': ['llvm'],
  'clang_rt.builtins': ['llvm'],
  // By D. Lea, in the public domain.
  dlmalloc: ['emscripten'],
  embind: ['emscripten'],
  noexit: ['emscripten'],
  stubs: ['emscripten'],
  unwind: ['llvm'],
};

/**
 * Throws an error if a link contains an archive of Emscripten whose licence is not in `native`. `printed`:
 * the output of wasm-ld with --trace.
 */
export function checkArchives(printed) {
  const linked = Array.from(
    printed.matchAll(/\/sysroot\/.*\/lib([\w.+]+)[\w.+-]*\.a\b/g),
    ([, name]) => name,
  );
  const system = [...new Set(linked)];
  const known = new Set(native.map(({ text }) => text));
  const isCovered = (name) => archives[name]?.every((text) => known.has(text)) ?? false;
  const missing = system.filter((name) => !isCovered(name));
  if (missing.length > 0) {
    throw new SetUpError(`tools/lib/licenses.mjs has no licence for lib${missing.join('.a, lib')}.a`);
  }
}

/** Returns the names of the npm packages that an esbuild metafile's outputs contain, in order. */
export function bundledPackages({ outputs }) {
  const inputs = Object.values(outputs).flatMap((output) => Object.keys(output.inputs));
  const names = inputs.map((input) => input.match(/.*node_modules\/((?:@[^/]+\/)?[^/]+)\//)?.[1]);
  return [...new Set(names.filter(Boolean))].sort();
}

/** Returns the licence that an npm package contains. */
function licenseOf(name) {
  const folder = path.join(project, 'node_modules', name);
  const { version } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));
  const file = readdirSync(folder).find((entry) => /^licen[cs]e(\.\w+)?$/i.test(entry));
  if (file === undefined) throw new SetUpError(`node_modules/${name} contains no licence`);
  return { name: `${name} ${version}`, content: readFileSync(path.join(folder, file), 'utf8') };
}

function nativeLicense({ name, text }) {
  return { name, content: readFileSync(path.join(project, 'tools/licenses', `${text}.txt`), 'utf8') };
}

/** Writes dist/licenses.txt for the packages in an esbuild metafile and the WebAssembly modules. */
export function writeLicenses(metafile) {
  const all = [...bundledPackages(metafile).map(licenseOf), ...native.map(nativeLicense)];
  const line = '='.repeat(80);
  const parts = all.map(({ name, content }) => `${line}\n${name}\n${line}\n\n${content.trim()}\n`);
  writeFileSync(path.join(project, 'dist/licenses.txt'), parts.join('\n'));
}
