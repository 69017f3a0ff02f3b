// The command line of npm run bench. Imports no npm package: tools/bench.mjs checks the arguments before any
// set-up.
import os from 'node:os';
import { peers as portablePeers } from './contenders.mjs';
import { shapes, tasks } from './shapes.mjs';

export const allPeers = {
  ...portablePeers,
  'onnxruntime-node': { label: 'ONNX Runtime native', name: 'onnxruntime_node', options: {} },
};

const names = (allowed) => ({ type: 'name', list: true, allowed, default: allowed });

export const command = {
  name: 'npm run bench',
  summary:
    'Measures the layer, other libraries and the microkernel alone on this machine; --scaling measures how ' +
    'time and memory grow with the sizes.',
  options: {
    shapes: { ...names(shapes.map(({ name }) => name)), description: 'Shapes of the layers.' },
    what: { ...names(Object.keys(tasks)), description: 'Tasks to measure.' },
    dtype: { ...names(['float32', 'float64']), default: ['float32'], description: 'Precision.' },
    simd: { ...names(['relaxed', 'baseline']), description: 'SIMD variants of the layer.' },
    threads: {
      type: 'integer',
      list: true,
      min: 1,
      default: os.availableParallelism() > 1 ? [1, 2] : [1],
      description: 'Numbers of threads; 1 and 2 if the machine has more than one core.',
    },
    peers: {
      ...names(Object.keys(allPeers)),
      allowEmpty: true,
      description: "Other libraries to compare with; '' for none.",
    },
    seconds: {
      type: 'number',
      above: 0,
      default: 1.5,
      description: 'Seconds for each contender in each measurement.',
    },
    json: { type: 'path', placeholder: 'FILE', description: 'Writes all results of every round.' },
    svg: { type: 'path', placeholder: 'FILE', description: 'Writes a chart of the results.' },
    scaling: {
      type: 'boolean',
      description:
        'Measures time and memory by N, L, C and number of threads instead. Uses the first of --simd, and ' +
        '--seconds, --json, --svg and --check.',
    },
    check: {
      type: 'boolean',
      description: 'Ends with exit code 1 if a target is missed or none was measured.',
    },
  },
  examples: [
    ['--shapes sd15-64,tiny --what forward', 'Measures the forward pass of two shapes.'],
    ["--peers '' --threads 1 --json results.json", 'Measures only the layer and saves all results.'],
  ],
};
