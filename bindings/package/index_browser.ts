// The package in a build for browsers, which must not refer to the modules of Node. The same as index.ts
// otherwise.
import { makeInitOn } from './core_module';
import { web } from './platform';

export * from './exports';

export const init = makeInitOn(async () => web);
