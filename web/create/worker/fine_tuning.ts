import type { Denoiser } from 'diffusion-cross-attention/denoiser';
import type { FineTuningEvent, FineTuningRequest } from '../fine_tuning/messages';
import { planarOf } from '../pixels';

type Post = (event: FineTuningEvent, transfer?: Transferable[]) => void;

const progressIntervalMilliseconds = 250;
/** A preview interrupts the training, so that it is drawn rarely and with few steps. */
const previewIntervalMilliseconds = 6000;
const previewSteps = 10;
const previewSeed = 3;

/** Trains for the requested time. Blocks the worker; to cancel, the page terminates it. */
export function fineTune(
  denoiser: Denoiser,
  { word, like, pictures, captions, seconds }: FineTuningRequest,
  post: Post,
): void {
  using fineTuner = denoiser.fineTuner({ word, like, captions, pictures: pictures.map(planarOf) });
  const start = performance.now();
  let postedAt = start;
  let drawnAt = -Infinity;
  let losses: number[] = [];
  for (let now = start; now - start < seconds * 1000; now = performance.now()) {
    const { step, loss } = fineTuner.step((now - start) / (seconds * 1000));
    if (!Number.isFinite(loss)) {
      throw new Error(`the loss at step ${step} is ${loss}; expected a finite number`);
    }
    losses.push(loss);
    if (now - postedAt >= progressIntervalMilliseconds) {
      const mean = losses.reduce((sum, value) => sum + value, 0) / losses.length;
      post({ kind: 'progress', step, seconds: (now - start) / 1000, loss: mean });
      postedAt = now;
      losses = [];
    }
    if (now - drawnAt >= previewIntervalMilliseconds) {
      drawnAt = now;
      drawPreview(denoiser, captions[0]![0]!, post);
    }
  }
  drawPreview(denoiser, captions[0]![0]!, post);
  const bytes = new Uint8Array(denoiser.saveLora());
  post({ kind: 'finished', word, bytes }, [bytes.buffer]);
}

function drawPreview(denoiser: Denoiser, prompt: string, post: Post): void {
  using sampler = denoiser.sampler({
    prompt,
    seed: previewSeed,
    steps: previewSteps,
    maps: false,
  });
  while (sampler.advance());
  const pixels = new Uint8ClampedArray(sampler.rgba());
  post({ kind: 'preview', pixels }, [pixels.buffer]);
}
