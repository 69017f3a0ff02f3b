/**
 * Returns the learning rate of a schedule with linear warm-up and cosine decay.
 *
 * @param progress share of the training that is done, 0 to 1
 * @param warmUp share of the training during which the rate rises, 0 to 1
 * @param floor final rate as a share of the peak
 */
export function warmUpThenCosine(peak: number, progress: number, warmUp: number, floor: number): number {
  const rise = warmUp > 0 ? Math.min(1, progress / warmUp) : 1;
  const fall = 0.5 * (1 + Math.cos(Math.PI * Math.min(1, progress)));
  return peak * rise * (floor + (1 - floor) * fall);
}
