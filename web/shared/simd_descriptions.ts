/** The SIMD levels of the package, as the pages describe them. */
export const simdDescriptions = {
  relaxed: 'relaxed (fused multiply-add)',
  baseline: 'baseline (this browser does not support relaxed SIMD)',
} as const;
