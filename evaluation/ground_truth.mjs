// The proof that the analyser reads pictures right: scenes are drawn by the package, and read without their captions.
import { adheres, analysePicture } from './analyser/index.mjs';

/** In the picture's own units, of which black and white are 2 apart: 0.05 of the range of a channel. */
export const noiseDeviation = 0.1;
/** The least shares of scenes that must be read right. */
export const leastRight = { clean: 0.995, noisy: 0.99 };

const kinds = [
  { split: 'training', objects: 1 },
  { split: 'training', objects: 2 },
  { split: 'training', objects: 3 },
  { split: 'heldOut', objects: 2 },
  { split: 'heldOut', objects: 3 },
];

/**
 * `randomScene`: the package's. Reads `count` scenes of all kinds in turn, each as it was drawn and with noise.
 * Returns { count, clean, noisy, wrong }: how many were read right, and what was wrong with the others.
 */
export function proveAnalyser(randomScene, count, seed, progress = () => {}) {
  const proof = { count, clean: 0, noisy: 0, wrong: [] };
  for (let index = 0; index < count; ++index) {
    const scene = randomScene({ seed: seed + index, ...kinds[index % kinds.length] });
    for (const [kind, picture] of [
      ['clean', scene.picture],
      ['noisy', withNoise(scene.picture, seed + index)],
    ]) {
      const reasons = misreadings(analysePicture(picture), scene);
      if (reasons.length === 0) ++proof[kind];
      else proof.wrong.push({ kind, prompt: scene.plainCaption, reasons });
    }
    progress();
  }
  return proof;
}

export const isProven = ({ count, clean, noisy }) =>
  clean >= leastRight.clean * count && noisy >= leastRight.noisy * count;

/** What was read wrong: objects, relations, and the background, said or not. */
function misreadings(found, scene) {
  const { reasons } = adheres(found, scene);
  if (found.background === scene.background) return reasons;
  return [...reasons, `the background is ${found.background}, not ${scene.background}`];
}

/** With normal noise, cut to [-1, 1] as pictures are. */
function withNoise(picture, seed) {
  const normal = normalGenerator(seed);
  return picture.map((value) => Math.min(1, Math.max(-1, value + noiseDeviation * normal())));
}

/** Unit-normal numbers, the same for the same seed: mulberry32, and Box and Muller. */
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
