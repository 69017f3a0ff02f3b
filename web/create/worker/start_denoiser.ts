import { Denoiser, init, type DenoiserRuntimeInfo } from 'diffusion-cross-attention/denoiser';
import { defaultThreads } from '../../shared/default_threads';
import { downloadWeights } from './weights';

export interface StartedDenoiser {
  readonly runtime: DenoiserRuntimeInfo;
  /** Returns a new model without learned words. */
  readonly load: () => Denoiser;
}

/** Loads WebAssembly and the weights at the same time. */
export async function startDenoiser(): Promise<StartedDenoiser> {
  const [runtime, weights] = await Promise.all([init({ threads: defaultThreads() }), downloadWeights()]);
  return { runtime, load: () => Denoiser.load(weights) };
}
