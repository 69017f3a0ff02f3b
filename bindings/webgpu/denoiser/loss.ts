// What a step learns by, as src/denoiser/trainer: the squared error of the velocity, and of what tokens know of their places.
import type { ElementKernel } from './kernels';
import type { Binding } from '../recorder';
import { sizeOf, type Tape, type Value } from './tape';
import { recordTotal } from './totals';

const pictureError: ElementKernel = {
  label: 'picture loss',
  numbers: ['row', 'share'],
  floats: ['share'],
  buffers: [
    ['estimate', 'read'],
    ['picture', 'read'],
    ['weights', 'read'],
    ['gradient', 'write'],
    ['terms', 'write'],
  ],
  body: `let difference = estimate[i] - picture[i];
let weighted = weights[i / p.row] * p.share * difference;
gradient[i] = 2.0 * weighted;
terms[i] = weighted * difference;`,
};

/** Σ weight·(estimate - picture)² / size, into `loss`; `weights`: one a batch row. */
export function learnPicture(
  tape: Tape,
  estimate: Value,
  picture: Value,
  weights: Value,
  loss: Binding,
): void {
  const count = sizeOf(estimate);
  const terms = { buffer: tape.take('terms of the loss', 4 * count) };
  tape.forElements(pictureError, count, { row: count / estimate.shape[0]!, share: 1 / count }, [
    estimate.binding,
    picture.binding,
    weights.binding,
    tape.target(estimate)!.binding,
    terms,
  ]);
  recordTotal(tape, terms, count, loss, false);
}

/** Places are numbers of objects and pictures' sides; what is not to be known is this instead of the core's NaN. */
export const unknown = 1e30;

const placesError: ElementKernel = {
  label: 'places loss',
  numbers: ['values', 'placeValues', 'features', 'factor'],
  floats: ['factor'],
  buffers: [
    ['tokens', 'read'],
    ['places', 'read'],
    ['gradient', 'write'],
  ],
  body: `let token = i / p.values;
let value = i % p.values;
let wanted = places[token * p.placeValues + value];
let at = token * p.features + value;
if (wanted < ${unknown / 2}) { gradient[at] += p.factor * (tokens[at] - wanted); }`,
};

/** Where the backward comes to `tokens`, adds the gradient of alignment·mean (tokens - places)² of their first features. */
export function learnPlaces(tape: Tape, tokens: Value, places: Value, alignment: number): void {
  tape.onBackward(() => {
    const features = tokens.shape.at(-1)!;
    const placeValues = places.shape.at(-1)!;
    const values = Math.min(features, placeValues);
    const factor = (2 * alignment) / sizeOf(places);
    const count = (sizeOf(places) / placeValues) * values;
    const numbers = { values, placeValues, features, factor };
    tape.forElements(placesError, count, numbers, [tokens.binding, places.binding, tape.partTarget(tokens)]);
  });
}
