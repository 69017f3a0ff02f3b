// The event loop of a page, a worker or Node.

declare const setImmediate: ((callback: () => void) => void) | undefined;

/** Resolves as soon as possible after all other waiting tasks have had their turn. */
export function yieldToEventLoop(): Promise<void> {
  if (typeof setImmediate === 'function') return new Promise((resolve) => setImmediate(resolve));
  // Not scheduler.yield: its continuations run before messages and timers, which would starve. Not
  // setTimeout: browsers delay a nested one by at least 4 ms.
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

/** Prevents Node from exiting while work runs on another thread, until `release`. */
export function keepAlive(): { release(): void } {
  const timer = setInterval(() => {}, 2 ** 30);
  return { release: () => clearInterval(timer) };
}
