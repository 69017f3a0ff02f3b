// Tests the analyser on ground truth: the package draws scenes, and the analyser reads them without their
// captions.
import { adheres, analysePicture } from './analyser/index.mjs';

/**
 * Standard deviation of the noise. Pictures have the range [-1, 1], so this is 0.05 of the range of a
 * channel.
 */
export const noiseDeviation = 0.1;
/** Minimum shares of scenes that must be read correctly. */
export const minCorrect = { clean: 0.995, noisy: 0.99 };

const kinds = [
  { split: 'training', objects: 1 },
  { split: 'training', objects: 2 },
  { split: 'training', objects: 3 },
  { split: 'heldOut', objects: 2 },
  { split: 'heldOut', objects: 3 },
];

/**
 * Reads `count` scenes of all kinds in turn, without and with noise. `randomScene` is the function of the
 * package.
 * Returns { count, clean, noisy, wrong }: the number of scenes, the numbers read correctly without and with
 * noise, and the errors of the others.
 */
export function testAnalyser(randomScene, count, seed, progress = () => {}) {
  const result = { count, clean: 0, noisy: 0, wrong: [] };
  for (let index = 0; index < count; ++index) {
    const scene = randomScene({ seed: seed + index, ...kinds[index % kinds.length] });
    for (const [kind, picture] of [
      ['clean', scene.picture],
      ['noisy', withNoise(scene.picture, seed + index)],
    ]) {
      const reasons = misreadings(analysePicture(picture), scene);
      if (reasons.length === 0) ++result[kind];
      else result.wrong.push({ kind, prompt: scene.plainCaption, reasons });
    }
    progress();
  }
  return result;
}

export const isAccurate = ({ count, clean, noisy }) =>
  clean >= minCorrect.clean * count && noisy >= minCorrect.noisy * count;

/**
 * Returns the errors in objects, relations and background. The background counts even if the caption omits
 * it.
 */
function misreadings(found, scene) {
  const { reasons } = adheres(found, scene);
  if (found.background === scene.background) return reasons;
  return [...reasons, `the background is ${found.background}, not ${scene.background}`];
}

/** Adds normal noise and clamps to [-1, 1], the range of pictures. */
function withNoise(picture, seed) {
  const normal = normalGenerator(seed);
  return picture.map((value) => Math.min(1, Math.max(-1, value + noiseDeviation * normal())));
}

/**
 * Returns a generator of unit-normal numbers (mulberry32 and the Box–Muller transform). A seed determines the
 * sequence.
 */
function normalGenerator(seed) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}
