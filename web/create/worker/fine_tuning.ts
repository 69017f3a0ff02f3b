import type { Denoiser } from 'diffusion-cross-attention/denoiser';
import { planarOf } from '../pixels';
import type { Lesson, TeacherNews } from '../fine_tuning/messages';

const TELL_EVERY_MILLISECONDS = 250;
/** Drawing costs training time: a picture of a few steps, now and then. */
const PREVIEW_EVERY_MILLISECONDS = 6000;
const PREVIEW_STEPS = 10;
const PREVIEW_SEED = 3;

/** Trains for as long as the lesson lasts. Who has enough of it ends the worker: no message is heard meanwhile. */
export function teach(
  denoiser: Denoiser,
  { word, like, pictures, captions, seconds }: Lesson,
  tell: (news: TeacherNews, transfer?: Transferable[]) => void,
): void {
  using learner = denoiser.learner({ word, like, captions, pictures: pictures.map(planarOf) });
  const start = performance.now();
  let toldAt = start;
  let drawnAt = -Infinity;
  let losses: number[] = [];
  for (let now = start; now - start < seconds * 1000; now = performance.now()) {
    const { step, loss } = learner.step((now - start) / (seconds * 1000));
    if (!Number.isFinite(loss)) throw new Error('the numbers ran out of bounds');
    losses.push(loss);
    if (now - toldAt >= TELL_EVERY_MILLISECONDS) {
      const mean = losses.reduce((sum, value) => sum + value, 0) / losses.length;
      tell({ kind: 'lesson', step, seconds: (now - start) / 1000, loss: mean });
      toldAt = now;
      losses = [];
    }
    if (now - drawnAt >= PREVIEW_EVERY_MILLISECONDS) {
      drawnAt = now;
      draw(denoiser, captions[0]![0]!, tell);
    }
  }
  draw(denoiser, captions[0]![0]!, tell);
  const bytes = new Uint8Array(denoiser.saveLora());
  tell({ kind: 'taught', word, bytes }, [bytes.buffer]);
}

function draw(
  denoiser: Denoiser,
  prompt: string,
  tell: (news: TeacherNews, transfer?: Transferable[]) => void,
): void {
  using sampler = denoiser.sampler({
    prompt,
    seed: PREVIEW_SEED,
    steps: PREVIEW_STEPS,
    maps: false,
  });
  while (sampler.advance());
  const pixels = new Uint8ClampedArray(sampler.rgba());
  tell({ kind: 'preview', pixels }, [pixels.buffer]);
}
