// Command line of npm run evaluate. This file uses no npm packages because tools/evaluate.mjs checks the
// arguments before any set-up.
import os from 'node:os';

const parts = ['adherence', 'edits', 'word'];

export const command = {
  name: 'npm run evaluate',
  summary:
    "Measures how well the denoiser's pictures match their prompts. Tests the analyser of pictures first.",
  options: {
    weights: {
      type: 'path',
      placeholder: 'FILE',
      mustExist: true,
      default: 'web/model/scenes.safetensors',
      description: 'The model, a .safetensors file.',
    },
    prompts: {
      type: 'integer',
      min: 2,
      max: 1e6,
      default: 500,
      description:
        'Number of prompts, rounded up to an even number: half of seen combinations, half of held-out ones.',
    },
    steps: { type: 'integer', min: 1, max: 1000, default: 20, description: 'Denoising steps.' },
    guidance: {
      type: 'number',
      defaultText: "the package's",
      description: 'Scale of classifier-free guidance.',
    },
    seed: {
      type: 'integer',
      min: 0,
      max: 2 ** 31,
      default: 1,
      description: 'Seed of the prompts and the pictures.',
    },
    threads: {
      type: 'integer',
      min: 1,
      max: 64,
      default: os.availableParallelism(),
      description: 'Number of threads; one per core unless given.',
    },
    out: {
      type: 'path',
      placeholder: 'FOLDER',
      default: 'build/evaluation',
      description: 'Folder for evaluation.json, evaluation.md, contact_sheet.png and new_word.png.',
    },
    parts: {
      type: 'name',
      list: true,
      allowed: parts,
      default: parts,
      description: 'Parts of the evaluation; adherence includes the pointing game.',
    },
    check: { type: 'boolean', description: 'Ends with exit code 1 if a target is missed.' },
  },
  examples: [
    ['--parts adherence --prompts 100', 'Judges only adherence, with 100 prompts.'],
    ['--weights build/training/scenes.safetensors --check', 'Judges the weights that `npm run train` wrote.'],
  ],
};
