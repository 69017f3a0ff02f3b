// Selects the test files of each part of npm test.
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { project } from './paths.mjs';

const files = (folder, names) => names.map((name) => path.join(folder, `${name}.test.mjs`));

/**
 * The longest test files of those that run two at a time. They start first, so that none of them runs alone
 * at the end.
 */
const longest = files('tests/node', [
  'onnx_malformed',
  'evaluation',
  'analyser',
  'properties',
  'bits',
  'runtime',
  'surface',
]);

/** Returns all test files of a folder in the order in which they start. */
export function testFiles(folder) {
  const names = readdirSync(path.join(project, folder)).filter((name) => name.endsWith('.test.mjs'));
  const all = names.map((name) => path.join(folder, name));
  const rank = (file) => (longest.includes(file) ? longest.indexOf(file) : longest.length);
  return all.sort((one, other) => rank(one) - rank(other));
}

/**
 * Folders whose files run one at a time. A page and a software adapter use all cores themselves: on two
 * cores, five files of tests/webgpu take 153 s in sequence and 214 s in pairs; tests/browser/accessibility
 * takes 43 s alone and 119 s next to another file. All other tests run in pairs; they measure processor time,
 * or no time.
 */
const exclusiveFolders = ['tests/browser/', 'tests/webgpu/'];

/** True if no other test file may run at the same time. */
export const isExclusive = (file) => exclusiveFolders.some((folder) => file.startsWith(folder));

/**
 * Tests of JavaScript, types and tools. They run once, because they depend neither on the variant nor on the
 * version of Node.
 */
export const once = files('tests/node', [
  'analyser',
  'bench_measurement',
  'bench_webgpu',
  'command_line',
  'engines_claims',
  'engines_table',
  'evaluation',
  'init_fallbacks',
  'init_options',
  'onnx_fuzz',
  'onnx_malformed',
  'onnx_refused',
  'published',
  'surface',
  'train',
  'types',
  'types_consumers',
  'weights_validate',
]);

/** Tests that depend on the variant: numbers, bits, memory, threads, loading. */
export const variantTests = files('tests/node', [
  'adam',
  'address_space',
  'async',
  'attention_maps',
  'backward',
  'bits',
  'compile',
  'copies',
  'denoiser_bits',
  'denoiser_memory',
  'denoiser_sampling',
  'forward',
  'gradient_check',
  'many_errors',
  'masks',
  'memory',
  'moments',
  'out_of_memory',
  'package',
  'properties',
  'runtime',
  'training',
  'worker',
]);

/** Tests that need more variants than the one under test. */
export const needAllVariants = files('tests/node', [
  'bench_measurement',
  'package',
  'published',
  'runtime',
  'types_consumers',
]);

/**
 * Smoke tests of WebGPU in a version of Node: Dawn loads, a layer and kernels compute, tensors move between
 * devices.
 */
export const webGpuSmokeTests = files('tests/webgpu', ['calls', 'small_kernels', 'tensors']);
