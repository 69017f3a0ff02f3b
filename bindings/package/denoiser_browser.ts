// The denoiser in a build for browsers, which must not refer to the modules of Node. The same as denoiser.ts
// otherwise.
import { makeInitOn } from './denoiser/module';
import { web } from './platform';

export * from './denoiser/exports';

export const init = makeInitOn(async () => web);
