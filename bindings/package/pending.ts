import type { CorePending } from './core';
import { keepAlive, yieldToEventLoop } from './event_loop';

/** Length of a slice of work on the calling thread: well below a frame of a page. */
const sliceMilliseconds = 6;

/**
 * Waits for the end of work without blocking the event loop: on a background thread if there is one, else in
 * slices.
 */
export async function awaitPending(pending: CorePending): Promise<void> {
  const stayAlive = keepAlive();
  try {
    const isDone = await new Promise<boolean>((resolve) => {
      if (!pending.runInBackground(() => resolve(true))) resolve(false);
    });
    if (isDone) return;
    do await yieldToEventLoop();
    while (!pending.advance(sliceMilliseconds));
  } finally {
    stayAlive.release();
  }
}
