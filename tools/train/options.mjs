// The command line of npm run train.
import os from 'node:os';

const count = (defaultCount, description, limits) => ({
  type: 'integer',
  min: 1,
  default: defaultCount,
  description,
  ...limits,
});
const share = (defaultShare, description) => ({
  type: 'number',
  min: 0,
  max: 1,
  default: defaultShare,
  description,
});

/** Maximum of the model's sizes, as in src/denoiser/configuration.cpp. */
const maxSize = 16384;

export const command = {
  name: 'npm run train',
  summary:
    'Trains the denoiser on generated scenes. Continues from the checkpoint in --out if there is one. ' +
    'Ctrl+C loses only the steps since the last save.',
  options: {
    engine: {
      type: 'name',
      allowed: ['native', 'wasm', 'webgpu'],
      default: 'native',
      description:
        'native is a program built for this machine, the fastest engine without a GPU; wasm and webgpu use ' +
        'the package.',
    },
    steps: count(30000, 'Training steps, including those of the checkpoint.'),
    batch: count(32, 'Scenes per step. Each process trains on 16 scenes at a time.', {
      min: 16,
      multipleOf: 16,
    }),
    singles: share(
      0,
      'Share of the scenes that have a single object, in addition to those among the other scenes. ' +
        '--singles + --insides is at most 1.',
    ),
    insides: share(
      0.35,
      'Share of the scenes that have one object inside another, in addition to those among the other scenes.',
    ),
    'learning-rate': { type: 'number', min: 0, default: 0.0005, description: 'Maximum learning rate.' },
    'warm-up': count(300, 'Steps in which the learning rate rises to its maximum.', { min: 0 }),
    'time-mean': {
      type: 'number',
      default: -0.4,
      description: 'Mean of the logit of the training times. Time 0 is noise, 1 is a clean picture.',
    },
    'time-deviation': {
      type: 'number',
      min: 0,
      default: 1.5,
      description: 'Standard deviation of the logit of the training times.',
    },
    alignment: {
      type: 'number',
      min: 0,
      default: 1,
      description: 'Weight of the loss that aligns tokens with the objects at their positions.',
    },
    fall: share(0.5, 'Share of the steps, at the end, in which the learning rate decays to zero.'),
    'average-decay': share(0.999, 'Decay of the EMA of the weights.'),
    features: count(128, 'Features of a token, a multiple of 4 and of --heads.', { max: maxSize }),
    blocks: count(5, 'Transformer blocks.', { max: maxSize }),
    'pixel-features': count(16, 'Features of a pixel in the convolutions.', { max: maxSize }),
    'pixel-blocks': count(1, 'Convolution blocks before and after the transformer.', {
      min: 0,
      max: maxSize,
    }),
    heads: count(4, 'Attention heads.', { max: maxSize }),
    seed: count(1, 'Seed of the initial weights and of the scenes.', { min: 0 }),
    threads: count(os.availableParallelism(), 'Number of threads or processes, normally one per core.'),
    'save-every': count(250, 'Steps between two saves of the checkpoint and the weights.'),
    from: {
      type: 'path',
      placeholder: 'FILE',
      mustExist: true,
      defaultText: 'random weights',
      description:
        'Initial weights, a .safetensors file, which also determines the sizes of the model (features, ' +
        'blocks, heads).',
    },
    out: {
      type: 'path',
      placeholder: 'FOLDER',
      default: 'build/training',
      description: 'Folder for checkpoint.safetensors and scenes.safetensors.',
    },
    fresh: { type: 'boolean', description: 'Deletes the checkpoint in --out first.' },
  },
  examples: [
    ['--steps 60000 --threads 2', 'Trains longer, in two processes.'],
    [
      '--engine webgpu --from web/model/scenes.safetensors --fresh',
      'Trains the published weights on the GPU.',
    ],
  ],
  check({ singles, insides, features, heads, from }) {
    if (singles + insides > 1) {
      return `--singles + --insides is ${singles + insides}; expected at most 1`;
    }
    if (from === undefined && (features % heads !== 0 || features % 4 !== 0)) {
      return `--features is ${features}; expected a multiple of 4 and of --heads (${heads})`;
    }
    return undefined;
  },
};
