// The event loop of whoever runs us: a page, a worker or Node.

declare const setImmediate: ((callback: () => void) => void) | undefined;

/** Lets everything else that waits have its turn, and comes back as soon as possible. */
export function yieldToEventLoop(): Promise<void> {
  if (typeof setImmediate === 'function') return new Promise((resolve) => setImmediate(resolve));
  // Not scheduler.yield, whose continuations run ahead of messages and timers: those would starve. Not setTimeout:
  // browsers make it wait at least 4 ms when it is nested.
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

/** Keeps Node from ending while something is under way on another thread. */
export function keepAlive(): { release(): void } {
  const timer = setInterval(() => {}, 2 ** 30);
  return { release: () => clearInterval(timer) };
}
