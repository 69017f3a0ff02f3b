// The command line of npm run bench:webgpu. Imports no npm package: tools/bench_webgpu.mjs checks the
// arguments before any set-up.
import { webGpuSwitches } from '../../support/browser/webgpu_switches.mjs';
import { shapes } from '../../support/shapes.mjs';
import { contenders } from './contenders.mjs';

const names = (allowed) => ({ type: 'name', list: true, allowed, default: allowed });

export const command = {
  name: 'npm run bench:webgpu',
  summary: 'Measures the forward pass of the layer and of other libraries on WebGPU, in a page of Chromium.',
  options: {
    shapes: {
      ...names(shapes.map(({ name }) => name)),
      default: ['sd15-64', 'sd15-16'],
      description: 'Shapes of the layer.',
    },
    contenders: { ...names(Object.keys(contenders)), description: 'Libraries to compare.' },
    adapter: {
      type: 'name',
      allowed: Object.keys(webGpuSwitches),
      default: 'default',
      description: 'WebGPU adapter: the default one of the machine, or SwiftShader, a software adapter.',
    },
    rounds: { type: 'integer', min: 1, default: 3, description: 'Number of rounds of each contender.' },
    json: { type: 'path', placeholder: 'FILE', description: 'Writes all results of every round.' },
  },
  examples: [
    ['--shapes tiny --adapter swiftshader', 'Runs without a GPU; the times are not meaningful.'],
    ['--contenders diffusion-cross-attention,jax-whole --rounds 10', 'Compares the layer with one library.'],
  ],
};
