// What npm run evaluate takes: see run.mjs.
import os from 'node:os';
import { parseArgs } from 'node:util';

const { values: given } = parseArgs({
  options: {
    weights: { type: 'string' },
    prompts: { type: 'string', default: '500' },
    steps: { type: 'string', default: '20' },
    guidance: { type: 'string' },
    seed: { type: 'string', default: '1' },
    threads: { type: 'string', default: String(os.availableParallelism()) },
    out: { type: 'string', default: 'build/evaluation' },
    parts: { type: 'string', default: 'adherence,edits,word' },
    check: { type: 'boolean', default: false },
  },
});

function number(option, takes, isAllowed) {
  const value = given[option].trim() === '' ? NaN : Number(given[option]);
  if (!isAllowed(value))
    throw new Error(`--${option} is ${JSON.stringify(given[option])}; it takes ${takes}`);
  return value;
}

const integer = (option, least, most = 1e6) =>
  number(
    option,
    `an integer from ${least} to ${most}`,
    (value) => Number.isInteger(value) && value >= least && value <= most,
  );

if (given.weights === undefined) throw new Error('--weights is missing; it takes a .safetensors file');

const allParts = ['adherence', 'edits', 'word'];
const parts = given.parts.split(',');
for (const part of parts) {
  if (!allParts.includes(part)) throw new Error(`--parts names '${part}'; it takes some of ${allParts}`);
}

export const options = {
  weights: given.weights,
  // Half of them are seen, half held out.
  prompts: 2 * Math.ceil(integer('prompts', 2) / 2),
  steps: integer('steps', 1, 1000),
  guidance: given.guidance === undefined ? undefined : number('guidance', 'a finite number', Number.isFinite),
  seed: integer('seed', 0, 2 ** 31),
  threads: integer('threads', 1, 64),
  out: given.out,
  parts,
  check: given.check,
};
