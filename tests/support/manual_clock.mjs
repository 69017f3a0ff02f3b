// Replaces performance.now by a clock that only the test advances. Timing in the package then does not depend
// on the machine's load.

/** Replaces performance.now for the rest of the process. */
export function installManualClock() {
  let now = performance.now();
  performance.now = () => now;
  return {
    /** Advances the clock. */
    advance(milliseconds) {
      now += milliseconds;
    },
  };
}
