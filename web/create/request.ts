/** Everything that determines a picture: equal requests give equal pictures. */
export interface PictureRequest {
  readonly prompt: string;
  readonly seed: number;
  readonly steps: number;
  readonly guidance: number;
  /** Factor on the attention to each word of the prompt. Empty: all 1. */
  readonly weights: readonly number[];
  readonly edit?: Edit;
}

/** Draws the prompt as a changed version of the picture of another prompt. */
export interface Edit {
  readonly from: string;
  /** Factors for the words of `from`. */
  readonly weights: readonly number[];
  /** Pixels to which the changed words do not attend stay unchanged. */
  readonly keepElsewhere: boolean;
}

export const limits = {
  seed: { min: 0, max: 2 ** 32 - 1, initial: 1 },
  steps: { min: 1, max: 50, initial: 20 },
  guidance: { min: 1, max: 8, initial: 3 },
  weight: { min: 0, max: 3, initial: 1 },
} as const;

export const examplePrompts = [
  'a red circle above a blue square',
  'a large yellow star on a black background',
  'a green triangle left of a purple ring',
] as const;

export const initialRequest: PictureRequest = {
  prompt: examplePrompts[0],
  seed: limits.seed.initial,
  steps: limits.steps.initial,
  guidance: limits.guidance.initial,
  weights: [],
};

/** Returns the request of the picture that an edit starts from; undefined if `request` is not an edit. */
export function baseRequestOf({ edit, ...rest }: PictureRequest): PictureRequest | undefined {
  return edit && { ...rest, prompt: edit.from, weights: edit.weights };
}

/** Returns a key that is equal for requests that give the same picture. */
export function keyOf({ prompt, seed, steps, guidance, weights, edit }: PictureRequest): string {
  const { from, keepElsewhere } = edit ?? {};
  return JSON.stringify([
    prompt,
    seed,
    steps,
    guidance,
    omitDefaultWeights(weights),
    from,
    omitDefaultWeights(edit?.weights ?? []),
    keepElsewhere,
  ]);
}

/** Returns the weights, or an empty list if all of them are 1. */
export function omitDefaultWeights(weights: readonly number[]): readonly number[] {
  return weights.some((weight) => weight !== limits.weight.initial) ? weights : [];
}

export function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0]!;
}
