// Rounding to half precision on the CPU.

/**
 * Returns the nearest number with 11 significant bits (fewer below 2^-14), ties to even. Does not return
 * infinities; values must be at most 65504.
 */
export function roundedToHalf(value) {
  const exponent = value === 0 ? 0 : Math.floor(Math.log2(Math.abs(value)));
  const unit = 2 ** Math.max(exponent - 10, -24);
  const scaled = value / unit;
  const floor = Math.floor(scaled);
  const isTie = scaled - floor === 0.5;
  const nearest = isTie && floor % 2 === 0 ? floor : Math.round(scaled);
  return nearest * unit;
}
