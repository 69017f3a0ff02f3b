/** Names of shapes and tasks, and formats of figures, for all parts of the page. */
import { layersOf } from '../../bench/shapes.mjs';
import type { Shape, TaskName } from './plan';

const shapeTitles: Record<string, string> = {
  tiny: 'Tiny',
  'sd15-64': 'Stable Diffusion 1.5, 64 × 64',
  'sd15-32': 'Stable Diffusion 1.5, 32 × 32',
  'sd15-16': 'Stable Diffusion 1.5, 16 × 16',
  'sdxl-64': 'Stable Diffusion XL, 64 × 64',
  'sdxl-32': 'Stable Diffusion XL, 32 × 32',
  'self-64': 'Self-attention, 64 × 64',
  'sd15-stack': 'All 16 layers of Stable Diffusion 1.5',
  overhead: 'Minimal: the overhead of a call',
};

export const taskTitles: Record<TaskName, string> = {
  forward: 'Forward',
  'forward-cached': 'Forward, same prompt',
  'forward-compiled': 'Denoising loop, compiled',
  training: 'Training step',
};

export const taskDetails: Record<TaskName, string> = {
  forward: 'a new context in every call',
  'forward-cached': 'as in the steps of one picture: keys and values of the context may be cached',
  'forward-compiled': 'as in the steps of one picture; our layer is compiled once for the prompt',
  training: 'forward, backward with all gradients, update',
};

export const shapeTitle = ({ name }: { readonly name: string }): string => shapeTitles[name] ?? name;

export function shapeDetail(shape: Shape): string {
  const layers = layersOf(shape);
  const [layer] = layers;
  if (layers.length > 1 || !layer) return 'in sequence, each with its own weights';
  const { batch, queryDim, height, width, length, contextDim, numHeads } = layer;
  const context = length === null ? 'self-attention' : `${length} × ${contextDim} context`;
  const heads = numHeads === 1 ? '1 head' : `${numHeads} heads`;
  const parts = [`${batch} × ${queryDim} × ${height} × ${width}`, context, heads];
  return parts.map(unbroken).join(', ');
}

/** Replaces spaces, so that lines break between the parts only. */
const unbroken = (text: string): string => text.replaceAll(' ', '\u00a0');

export function bytes(count: number): string {
  if (count < 1e6) return `${(count / 1e3).toFixed(0)} KB`;
  return `${(count / 1e6).toFixed(count < 1e7 ? 1 : 0)} MB`;
}

/** Formats a duration with three significant digits. */
export function duration(milliseconds: number): string {
  if (milliseconds < 1) return `${threeDigits(milliseconds * 1000)} µs`;
  if (milliseconds < 1000) return `${threeDigits(milliseconds)} ms`;
  return `${threeDigits(milliseconds / 1000)} s`;
}

export const threeDigits = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2);

export const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;

/** Formats a ratio with two significant digits, because more would be noise. */
export const times = (ratio: number): string => `${ratio >= 10 ? ratio.toFixed(0) : ratio.toFixed(1)} ×`;

/** Formats a waiting time: "1 min 5 s". */
export function clockTime(seconds: number): string {
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
