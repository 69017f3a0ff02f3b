// Checks the package as it is published: package.json with publint, and the resolution of its types with
// "Are the types wrong?".
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { output, run } from '../lib/commands.mjs';
import { project } from '../lib/paths.mjs';

/**
 * cjs-resolves-to-esm: `require` of the entries onnx and denoiser finds ES modules, which have no other form;
 * CommonJS programs use `import()`.
 */
const ignoredRules = ['cjs-resolves-to-esm'];

/** Entries without types. */
const files = ['wasm/*', 'weights/*'];

/** Throws an error with all findings. Requires dist/. */
export async function checkPublished() {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'cross-attention-published-'));
  try {
    // --ignore-scripts: prepack would build the package again.
    const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder];
    const [{ filename }] = JSON.parse(output('npm', args, { cwd: project }));
    const tarball = path.join(folder, filename);
    const start = (name, ...rest) =>
      run(path.join(project, 'node_modules/.bin', name), rest, { cwd: folder });
    await start('publint', 'run', tarball, '--strict');
    const options = ['--ignore-rules', ...ignoredRules, '--exclude-entrypoints', ...files];
    await start('attw', tarball, '--no-emoji', '--no-color', ...options);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
