/**
 * True in `npm run test:full`, which runs all combinations of cases. `npm test` runs each value of a case
 * once.
 */
export const isFullRun = Boolean(process.env.CROSS_ATTENTION_FULL);
