// The built package, with the variant loaded that this run of the tests is about.
import { init } from 'diffusion-cross-attention';
import { initOptions } from './variant.mjs';

export * from 'diffusion-cross-attention';

export const runtimeInfo = await init(initOptions);
