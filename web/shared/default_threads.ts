/** Number of threads for `init`. With more than two cores, one is left for the page to scroll smoothly. */
export function defaultThreads(): number | 'auto' {
  const cores = navigator.hardwareConcurrency;
  return cores > 2 && self.crossOriginIsolated ? cores - 1 : 'auto';
}
