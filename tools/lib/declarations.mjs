// The type declarations of the package: one .d.ts file per entry in dist/, and one with what entries share.
//
// tsc writes a declaration file per source, whose imports have no extensions, so that programs with
// `module: nodenext` would see `any`. rollup-plugin-dts merges them and removes what is not exported.
// api-extractor and dts-bundle-generator roll up each entry by itself, and the same class in two entries
// would be two classes that cannot be assigned to each other.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { run } from './commands.mjs';
import { project } from './paths.mjs';

const emitted = path.join(project, 'build/declarations');

/** Returns the text at the begin of a file of dist/. */
function banner({ facadeModuleId }) {
  // Symbol.dispose, which the lib of ES2022 and older does not declare.
  const reference = '/// <reference lib="esnext.disposable" />\n';
  // The description of an entry, which rollup-plugin-dts drops.
  const described = facadeModuleId && readFileSync(facadeModuleId, 'utf8').match(/^\/\*\*.*?\*\/\n/s);
  return described ? reference + described[0] : reference;
}

/** Returns the modules that a module imports, directly or through others, and itself. */
function withImports(id, getModuleInfo, found = new Set()) {
  if (found.has(id)) return found;
  found.add(id);
  for (const imported of getModuleInfo(id).importedIds) withImports(imported, getModuleInfo, found);
  return found;
}

/** Assigns all modules that several entries need to one file. */
function sharedModules(entries) {
  let counts = null;
  return (id, { getModuleInfo }) => {
    if (counts === null) {
      counts = new Map();
      for (const entry of entries) {
        for (const module of withImports(entry, getModuleInfo)) {
          counts.set(module, (counts.get(module) ?? 0) + 1);
        }
      }
    }
    return counts.get(id) > 1 ? 'shared' : undefined;
  };
}

/** Merges the declarations of entries, and writes each to `<name>.d.ts`, or to files with other `endings`. */
async function merge(names, endings = ['.d.ts']) {
  const { rollup } = await import('rollup');
  const { dts } = await import('rollup-plugin-dts');
  const input = Object.fromEntries(names.map((name) => [name, path.join(emitted, `${name}.d.ts`)]));
  const bundle = await rollup({
    input,
    plugins: [dts()],
    onwarn: ({ message }) => {
      throw new Error(`the declarations cannot be merged: ${message}`);
    },
  });
  const { output } = await bundle.generate({
    format: 'es',
    banner,
    entryFileNames: '[name].d.ts',
    chunkFileNames: '[name].d.ts',
    manualChunks: sharedModules(Object.values(input)),
    minifyInternalExports: false,
  });
  await bundle.close();
  for (const { fileName, code } of output) {
    for (const ending of endings) {
      writeFileSync(path.join(project, 'dist', fileName.replace('.d.ts', ending)), code);
    }
  }
}

/**
 * Writes the declarations of entries of bindings/package to dist/. `together`: entries that share their
 * classes. `alone`: one with classes of its own, which can also be loaded by require.
 */
export async function writeDeclarations({ together, alone }) {
  rmSync(emitted, { recursive: true, force: true });
  await run('node_modules/.bin/tsc', ['-p', 'bindings/package/tsconfig.json'], { cwd: project });
  await merge(together);
  await merge([alone], ['.d.ts', '.d.cts']);
}
