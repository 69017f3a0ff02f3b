// What npm run bench takes: see run.mjs.
import os from 'node:os';
import { parseArgs } from 'node:util';
import { peers as portablePeers } from './contenders.mjs';
import { partsOf } from './option_parts.mjs';
import { shapes, tasks } from './shapes.mjs';

export const allPeers = {
  ...portablePeers,
  'onnxruntime-node': { label: 'ONNX Runtime native', name: 'onnxruntime_node', options: {} },
};

export const { values: given } = parseArgs({
  options: {
    shapes: { type: 'string', default: shapes.map(({ name }) => name).join() },
    what: { type: 'string', default: Object.keys(tasks).join() },
    dtype: { type: 'string', default: 'float32' },
    simd: { type: 'string', default: 'relaxed,baseline' },
    threads: { type: 'string', default: os.availableParallelism() > 1 ? '1,2' : '1' },
    peers: { type: 'string', default: Object.keys(allPeers).join() },
    seconds: { type: 'string', default: '1.5' },
    json: { type: 'string' },
    svg: { type: 'string' },
    scaling: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
  },
});

const listOf = (option, allowed) => partsOf(given, option, allowed);

function positiveNumbers(option, isAllowed) {
  return given[option].split(',').map((part) => {
    const value = Number(part);
    if (!(value > 0 && isAllowed(value))) throw new Error(`--${option} ${part}: it takes a positive number`);
    return value;
  });
}

export const [seconds] = positiveNumbers('seconds', Number.isFinite);
export const threadCounts = positiveNumbers('threads', Number.isInteger);
export const simds = listOf('simd', ['relaxed', 'baseline']);
export const peers = listOf('peers', Object.keys(allPeers));
export const dtypes = listOf('dtype', ['float32', 'float64']);
export const chosenTasks = listOf('what', Object.keys(tasks));
export const chosenShapes = listOf(
  'shapes',
  shapes.map(({ name }) => name),
).map((name) => shapes.find((shape) => shape.name === name));
