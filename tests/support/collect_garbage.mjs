import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');

/** Runs a full garbage collection, so that results do not depend on V8's schedule. */
export const collectGarbage = runInNewContext('gc');
