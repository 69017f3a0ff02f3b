// Masks of attention kernels (mask.wgsl).

/**
 * None; a key mask [B | 1, L] of ones and zeros; or numbers [B | 1, heads | 1, N | 1, L] added to the scores.
 */
export type MaskKind = 'none' | 'keys' | 'additive';
