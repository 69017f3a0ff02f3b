import type { CorePending } from './core';
import { keepAlive, yieldToEventLoop } from './event_loop';

/** A slice of work on the caller's own thread: well below a frame of a page. */
const sliceMilliseconds = 6;

/** Waits for the end of work without holding up the event loop. */
export async function awaitPending(pending: CorePending): Promise<void> {
  const stayAlive = keepAlive();
  try {
    const behind = await new Promise<boolean>((resolve) => {
      if (!pending.runBehind(() => resolve(true))) resolve(false);
    });
    if (behind) return;
    do await yieldToEventLoop();
    while (!pending.advance(sliceMilliseconds));
  } finally {
    stayAlive.release();
  }
}
