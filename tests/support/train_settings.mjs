// Settings of `npm run train` for a tiny model, and a recorder of its progress.
import { mkdtempSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** Values of tools/train/options.mjs. */
export const settings = {
  steps: 5,
  batch: 2,
  singles: 0,
  insides: 0.5,
  'learning-rate': 0.001,
  'warm-up': 2,
  'time-mean': -0.4,
  'time-deviation': 1.5,
  alignment: 1,
  fall: 0.5,
  'average-decay': 0.9,
  features: 16,
  blocks: 1,
  'pixel-features': 4,
  'pixel-blocks': 1,
  heads: 2,
  seed: 1,
  threads: 1,
  'save-every': 2,
};

export function files() {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'denoiser-training-'));
  return {
    folder,
    checkpoint: path.join(folder, 'checkpoint.safetensors'),
    weights: path.join(folder, 'scenes.safetensors'),
  };
}

/** Returns a progress object that records all events. */
export function progressRecorder() {
  const recorded = { begun: null, steps: [], ended: 0 };
  return {
    recorded,
    begin: (event) => (recorded.begun = event),
    add: (event) => recorded.steps.push(event),
    end: () => recorded.ended++,
  };
}
