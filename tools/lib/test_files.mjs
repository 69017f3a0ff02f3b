// Which test files run where. Everything that decides it stands in the lists of this file.
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { project } from './paths.mjs';

const files = (folder, names) => names.map((name) => path.join(folder, `${name}.test.mjs`));

/** The longest start first: otherwise one of them runs alone at the end, and a core waits. */
const longest = [
  ...files('tests/browser', [
    'webgpu',
    'bench',
    'package',
    'weights',
    'accessibility',
    'create_accessibility',
  ]),
  ...files('tests/webgpu', ['properties', 'denoiser_training', 'attention', 'multiply', 'memory']),
  ...files('tests/node', ['onnx_malformed', 'evaluation', 'analyser', 'properties', 'bits', 'runtime']),
];

/** All test files of a folder, in the order in which they start. */
export function testFiles(folder) {
  const names = readdirSync(path.join(project, folder)).filter((name) => name.endsWith('.test.mjs'));
  const all = names.map((name) => path.join(folder, name));
  const rank = (file) => (longest.includes(file) ? longest.indexOf(file) : longest.length);
  return all.sort((one, other) => rank(one) - rank(other));
}

/** No other file runs at the same time. All other tests measure processor time, or no time. */
export const alone = [
  // Asserts that the port of the server is free afterwards.
  ...files('tests/browser', ['start']),
];

/** Tests of JavaScript, types and tools: neither the variant nor the version of Node matters, so they run once. */
export const once = files('tests/node', [
  'analyser',
  'bench_measurement',
  'bench_webgpu',
  'command_line',
  'evaluation',
  'onnx_malformed',
  'onnx_refused',
  'train',
  'types',
  'weights_validate',
]);

/** Tests in which the variant can matter: numbers, bits, memory, threads, loading. */
export const variantTests = files('tests/node', [
  'async',
  'attention_maps',
  'backward',
  'bits',
  'compile',
  'denoiser_bits',
  'denoiser_memory',
  'denoiser_sampling',
  'forward',
  'gradient_check',
  'many_errors',
  'masks',
  'memory',
  'out_of_memory',
  'package',
  'properties',
  'runtime',
  'training',
  'worker',
]);

/** Tests that need more variants than the one that they are about. */
export const needAllVariants = files('tests/node', ['bench_measurement', 'package', 'runtime']);

/** Show that WebGPU works in a version of Node: Dawn loads, a layer's calls and kernels compute, tensors move. */
export const webGpuSmokeTests = files('tests/webgpu', ['calls', 'small_kernels', 'tensors']);
