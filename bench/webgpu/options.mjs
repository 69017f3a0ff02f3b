// What npm run bench:webgpu takes: see run.mjs.
import { parseArgs } from 'node:util';
import { webGpuSwitches } from '../../tests/browser/support/chromium.mjs';
import { shapes } from '../../tests/support/shapes.mjs';
import { partsOf } from '../option_parts.mjs';
import { contenders } from './contenders.mjs';

export const { values: given } = parseArgs({
  options: {
    shapes: { type: 'string', default: 'sd15-64,sd15-16' },
    contenders: { type: 'string', default: Object.keys(contenders).join() },
    adapter: { type: 'string', default: 'default' },
    rounds: { type: 'string', default: '3' },
    json: { type: 'string' },
  },
});

export const chosenShapes = partsOf(
  given,
  'shapes',
  shapes.map(({ name }) => name),
).map((name) => shapes.find((shape) => shape.name === name));

export const chosenContenders = partsOf(given, 'contenders', Object.keys(contenders));
export const [adapter] = partsOf(given, 'adapter', Object.keys(webGpuSwitches));
export const rounds = Number(given.rounds);
if (!(Number.isInteger(rounds) && rounds > 0)) {
  throw new Error(`--rounds ${given.rounds}: it takes a positive integer`);
}
