// Generates pictures with the model.

/**
 * `denoiser`: a Denoiser of the package. If `guidance` is undefined, the package's default is used.
 * Returns { picture, words, maps }: a planar picture [3, 32, 32], the words of the prompt and a heat map per
 * word.
 */
export function generate(denoiser, prompt, seed, { steps, guidance }) {
  const guidanceOption = guidance === undefined ? {} : { guidance };
  const sampler = denoiser.sampler({ prompt, seed, steps, maps: true, ...guidanceOption });
  try {
    let lastStep = 0;
    for (const { step } of sampler) lastStep = Math.max(lastStep, step);
    const { words } = sampler;
    if (lastStep === 0) throw new Error(`the sampler made no step for ${JSON.stringify(prompt)}`);
    return { picture: sampler.picture(), words: [...words], maps: words.length > 0 ? sampler.maps() : [] };
  } finally {
    sampler.dispose();
  }
}
