// Exports the built package with the tested variant loaded.
import { init } from 'diffusion-cross-attention';
import { initOptions } from './variant.mjs';

export * from 'diffusion-cross-attention';

export const runtimeInfo = await init(initOptions);
