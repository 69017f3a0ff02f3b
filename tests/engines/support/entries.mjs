// Modules that import the package and run the checked program.

/** The entries of the package, by the names that the checked program uses. */
export const allEntries = {
  main: 'diffusion-cross-attention',
  onnx: 'diffusion-cross-attention/onnx',
  denoiser: 'diffusion-cross-attention/denoiser',
};

/**
 * Returns the source of a module that exports `run(options)` and `entries`.
 *
 * @param {(specifier: string) => string} [resolve] turns the name of an entry into what is imported
 * @param {Record<string, string>} [used] names of entries
 */
export function runModule(resolve = (specifier) => specifier, used = allEntries) {
  const names = Object.keys(used);
  const imports = names.map((name) => `import * as ${name} from '${resolve(used[name])}';`);
  return `import { runProgram } from './program.mjs';
${imports.join('\n')}
export const entries = { ${names.join(', ')} };
export const run = (options) => runProgram(entries, options);
`;
}

/** The single-file entry is all that a service worker can import. */
export const singleFile = { main: 'diffusion-cross-attention/single-file' };

/** Returns the file of an entry in the folder of the package, as browsers resolve it. */
export function fileOfEntry(manifest, specifier) {
  const entry = manifest.exports[`.${specifier.slice(manifest.name.length)}`];
  if (entry === undefined) throw new Error(`package.json has no export ${specifier}`);
  return fileOf(entry);
}

function fileOf(target) {
  if (typeof target === 'string') return target;
  const conditions = ['browser', 'import', 'default'];
  const [, chosen] = Object.entries(target).find(([condition]) => conditions.includes(condition));
  return fileOf(chosen);
}
