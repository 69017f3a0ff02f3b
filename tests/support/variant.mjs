// The tested variant: the value of CROSS_ATTENTION_VARIANT, by default the best variant that this Node can
// run.
import { relaxedSimd } from 'wasm-feature-detect';

const variants = ['relaxed-threads', 'relaxed', 'baseline-threads', 'baseline'];

export const hasRelaxedSimd = await relaxedSimd();

/** The variants that this Node can run. */
export const possibleVariants = variants.filter((name) => hasRelaxedSimd || name.startsWith('baseline'));

export const variant = process.env.CROSS_ATTENTION_VARIANT || possibleVariants[0];
if (!variants.includes(variant)) {
  throw new Error(`CROSS_ATTENTION_VARIANT is ${variant}; expected one of ${variants.join(', ')}`);
}

const [simd, threads] = variant.split('-');

/** The options of init that select the variant. */
export const initOptions = { simd, threads: threads === undefined ? 1 : 2 };
