// Builds the internals of bindings/ that tests import. They are not part of the package, and share no
// class with dist/.
import path from 'node:path';
import { project } from './paths.mjs';
import { fingerprint, unlessDone } from './stamps.mjs';
import { wgslPlugin } from './wgsl_plugin.mjs';

const entries = {
  stack: 'bindings/package/stack.ts',
  webgpu: 'bindings/webgpu/for_tests.ts',
  denoiser_webgpu: 'bindings/webgpu/denoiser/for_tests.ts',
};

async function bundle() {
  const { build } = await import('esbuild');
  await build({
    absWorkingDir: project,
    entryPoints: entries,
    outdir: 'build/for_tests',
    bundle: true,
    splitting: true,
    sourcemap: true,
    format: 'esm',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    target: 'es2022',
    plugins: [wgslPlugin],
  });
}

/** Builds the modules of build/for_tests/. */
export function buildForTests() {
  const tools = ['tools/lib/for_tests.mjs', 'tools/lib/wgsl_plugin.mjs'];
  const sources = ['bindings/package', 'bindings/webgpu', ...tools];
  const results = Object.keys(entries).map((name) => path.join('build/for_tests', `${name}.js`));
  return unlessDone('for-tests', fingerprint([], sources), results, bundle);
}
