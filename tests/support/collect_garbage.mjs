import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');

/** Collects all garbage now, so that what is left does not depend on when V8 would. */
export const collectGarbage = runInNewContext('gc');
