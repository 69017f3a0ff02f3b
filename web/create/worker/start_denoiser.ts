import { Denoiser, init, type DenoiserRuntimeInfo } from 'diffusion-cross-attention/denoiser';
import { wantedThreads } from '../../shared/default_threads';
import { downloadWeights } from './weights';

export interface Started {
  readonly runtime: DenoiserRuntimeInfo;
  /** A model as it came: it knows no word that a visitor has taught. */
  readonly load: () => Denoiser;
}

/** WebAssembly and weights come side by side: neither waits for the other. */
export async function startDenoiser(): Promise<Started> {
  const [runtime, weights] = await Promise.all([init({ threads: wantedThreads() }), downloadWeights()]);
  return { runtime, load: () => Denoiser.load(weights) };
}
