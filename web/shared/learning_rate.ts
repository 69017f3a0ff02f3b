/**
 * A rate that warms up in a straight line and then falls along half a cosine: large steps while everything is
 * wrong, small ones when only details are left.
 *
 * @param progress how much of the training is done, 0 to 1
 * @param warmUp the part of the training that the warm-up takes, 0 to 1
 * @param floor the part of the peak that remains at the very end
 */
export function warmUpThenCosine(peak: number, progress: number, warmUp: number, floor: number): number {
  const rise = warmUp > 0 ? Math.min(1, progress / warmUp) : 1;
  const fall = 0.5 * (1 + Math.cos(Math.PI * Math.min(1, progress)));
  return peak * rise * (floor + (1 - floor) * fall);
}
