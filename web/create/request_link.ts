/** A request as the fragment of an address, which no server gets to see, and back. */
import { FIRST_REQUEST, LIMITS, told, type PictureRequest } from './request';

const LONGEST_PROMPT = 300;
const MOST_WEIGHTS = 64;

export function linkOf({ prompt, seed, steps, guidance, weights, edit }: PictureRequest): string {
  const fields = new URLSearchParams({
    prompt,
    seed: String(seed),
    steps: String(steps),
    guidance: String(guidance),
  });
  if (told(weights).length > 0) fields.set('weights', weights.join(','));
  if (edit) {
    fields.set('from', edit.from);
    if (told(edit.weights).length > 0) fields.set('from-weights', edit.weights.join(','));
    if (!edit.keepElsewhere) fields.set('keep', 'no');
  }
  return `#${fields}`;
}

/** Anybody may have written the link: what is not a number, or beyond its limits, becomes what it usually is. */
export function readLink(fragment: string): PictureRequest | undefined {
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
  return fields.get(name)?.trim().slice(0, LONGEST_PROMPT) || undefined;
}

function number(fields: URLSearchParams, name: 'seed' | 'steps' | 'guidance'): number {
  const { least, most } = LIMITS[name];
  const value = Number(fields.get(name) ?? NaN);
  return value >= least && value <= most ? value : FIRST_REQUEST[name];
}

function numbers(fields: URLSearchParams, name: string): number[] {
  const { least, most, first } = LIMITS.weight;
  const given = fields.get(name);
  if (!given) return [];
  const values = given.split(',').slice(0, MOST_WEIGHTS).map(Number.parseFloat);
  return values.map((value) => (value >= least && value <= most ? value : first));
}
