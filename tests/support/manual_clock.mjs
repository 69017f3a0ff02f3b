// A clock that stands still until a test moves it, in place of performance.now: pauses of the package last as long as the
// test says, however busy the machine is.

/** Replaces performance.now for the rest of the process. */
export function installManualClock() {
  let now = performance.now();
  performance.now = () => now;
  return {
    /** Moves the clock forward. */
    advance(milliseconds) {
      now += milliseconds;
    },
  };
}
