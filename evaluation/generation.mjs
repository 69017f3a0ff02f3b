// Pictures by the model.

/**
 * `denoiser`: the package's; `settings`: { steps, guidance }, guidance undefined for the package's own.
 * Returns { picture, words, maps }: planar [3, 32, 32], the prompt's words, a heat map for each one.
 */
export function generate(denoiser, prompt, seed, { steps, guidance }) {
  const chosen = guidance === undefined ? {} : { guidance };
  const sampler = denoiser.sampler({ prompt, seed, steps, maps: true, ...chosen });
  try {
    let taken = 0;
    for (const { step } of sampler) taken = Math.max(taken, step);
    const { words } = sampler;
    if (taken === 0) throw new Error(`the sampler took no step for ${JSON.stringify(prompt)}`);
    return { picture: sampler.picture(), words: [...words], maps: words.length > 0 ? sampler.maps() : [] };
  } finally {
    sampler.dispose();
  }
}
