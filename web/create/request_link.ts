/** Picture requests as fragments of the page's URL, which the browser does not send to the server. */
import { initialRequest, limits, omitDefaultWeights, type PictureRequest } from './request';

const maxPromptLength = 300;
const maxWeights = 64;

/** Returns the fragment, with "#", that parseRequest reads. */
export function requestFragment({ prompt, seed, steps, guidance, weights, edit }: PictureRequest): string {
  const fields = new URLSearchParams({
    prompt,
    seed: String(seed),
    steps: String(steps),
    guidance: String(guidance),
  });
  if (omitDefaultWeights(weights).length > 0) fields.set('weights', weights.join(','));
  if (edit) {
    fields.set('from', edit.from);
    if (omitDefaultWeights(edit.weights).length > 0) fields.set('from-weights', edit.weights.join(','));
    if (!edit.keepElsewhere) fields.set('keep', 'no');
  }
  return `#${fields}`;
}

/**
 * Parses a fragment; undefined if it has no prompt. Links are untrusted: values that are not numbers or
 * outside their limits are replaced by the initial ones.
 */
export function parseRequest(fragment: string): PictureRequest | undefined {
  const fields = new URLSearchParams(fragment.replace(/^#/, ''));
  const prompt = text(fields, 'prompt');
  if (prompt === undefined) return undefined;
  const from = text(fields, 'from');
  return {
    prompt,
    seed: Math.round(number(fields, 'seed')),
    steps: Math.round(number(fields, 'steps')),
    guidance: number(fields, 'guidance'),
    weights: numbers(fields, 'weights'),
    ...(from !== undefined && {
      edit: {
        from,
        weights: numbers(fields, 'from-weights'),
        keepElsewhere: fields.get('keep') !== 'no',
      },
    }),
  };
}

function text(fields: URLSearchParams, name: string): string | undefined {
  return fields.get(name)?.trim().slice(0, maxPromptLength) || undefined;
}

function number(fields: URLSearchParams, name: 'seed' | 'steps' | 'guidance'): number {
  const { min, max } = limits[name];
  const value = Number(fields.get(name) ?? NaN);
  return value >= min && value <= max ? value : initialRequest[name];
}

function numbers(fields: URLSearchParams, name: string): number[] {
  const { min, max, initial } = limits.weight;
  const list = fields.get(name);
  if (!list) return [];
  const values = list.split(',').slice(0, maxWeights).map(Number.parseFloat);
  return values.map((value) => (value >= min && value <= max ? value : initial));
}
