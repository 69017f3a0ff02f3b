/** A machine with cores to spare keeps one for the page, which should scroll smoothly meanwhile. */
export function wantedThreads(): number | 'auto' {
  const cores = navigator.hardwareConcurrency;
  return cores > 2 && self.crossOriginIsolated ? cores - 1 : 'auto';
}
