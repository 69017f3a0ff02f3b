// The command line of npm run bench:webgpu. No npm packages: tools/bench_webgpu.mjs checks the arguments before any
// set-up.
import { webGpuSwitches } from '../../support/browser/webgpu_switches.mjs';
import { shapes } from '../../support/shapes.mjs';
import { contenders } from './contenders.mjs';

const names = (allowed) => ({ type: 'name', list: true, allowed, default: allowed });

export const command = {
  name: 'npm run bench:webgpu',
  summary: 'Measures the forward pass of the layer and its peers on WebGPU, in one page of Chromium.',
  options: {
    shapes: {
      ...names(shapes.map(({ name }) => name)),
      default: ['sd15-64', 'sd15-16'],
      description: 'Shapes of the layer.',
    },
    contenders: { ...names(Object.keys(contenders)), description: 'Implementations to compare.' },
    adapter: {
      type: 'name',
      allowed: Object.keys(webGpuSwitches),
      default: 'default',
      description: "WebGPU adapter: the machine's own, or SwiftShader, which computes in software.",
    },
    rounds: { type: 'integer', min: 1, default: 3, description: 'Number of turns of each contender.' },
    json: { type: 'path', placeholder: 'FILE', description: 'Writes all figures of every round.' },
  },
  examples: [
    ['--shapes tiny --adapter swiftshader', 'Runs without a GPU; the times mean little.'],
    ['--contenders diffusion-cross-attention,jax-whole --rounds 10', 'Compares the layer with one peer.'],
  ],
};
