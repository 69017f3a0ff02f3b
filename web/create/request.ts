/** What a picture is made from: the same request, the same picture. */
export interface PictureRequest {
  readonly prompt: string;
  readonly seed: number;
  readonly steps: number;
  readonly guidance: number;
  /** Attention of each word, by its place in the prompt; empty: all as they are. */
  readonly weights: readonly number[];
  readonly edit?: Edit;
}

/** The picture of another prompt is kept, and what differs is changed. */
export interface Edit {
  readonly from: string;
  /** Of the words of `from`. */
  readonly weights: readonly number[];
  /** Pixels that the changed words do not look at stay as they were. */
  readonly keepElsewhere: boolean;
}

export const LIMITS = {
  seed: { least: 0, most: 2 ** 32 - 1, first: 1 },
  steps: { least: 1, most: 50, first: 20 },
  guidance: { least: 1, most: 8, first: 3 },
  weight: { least: 0, most: 3, first: 1 },
} as const;

export const EXAMPLES = [
  'a red circle above a blue square',
  'a large yellow star on a black background',
  'a green triangle left of a purple ring',
] as const;

export const FIRST_REQUEST: PictureRequest = {
  prompt: EXAMPLES[0],
  seed: LIMITS.seed.first,
  steps: LIMITS.steps.first,
  guidance: LIMITS.guidance.first,
  weights: [],
};

/** The picture that an edit begins with. */
export function baseOf({ edit, ...rest }: PictureRequest): PictureRequest | undefined {
  return edit && { ...rest, prompt: edit.from, weights: edit.weights };
}

/** Equal for requests that give the same picture. */
export function keyOf({ prompt, seed, steps, guidance, weights, edit }: PictureRequest): string {
  const { from, keepElsewhere } = edit ?? {};
  return JSON.stringify([
    prompt,
    seed,
    steps,
    guidance,
    told(weights),
    from,
    told(edit?.weights ?? []),
    keepElsewhere,
  ]);
}

/** Weights as they are need not be told. */
export function told(weights: readonly number[]): readonly number[] {
  return weights.some((weight) => weight !== LIMITS.weight.first) ? weights : [];
}

export function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0]!;
}
