// The processor time of a page. Unlike the clock it does not depend on what else the machine computes.
import { recordTasks } from './thread_tasks.mjs';

/**
 * Seconds of processor time that all threads of a page's process have used: the main thread, workers, compilation.
 * @param {import('playwright-core').Page} page
 */
export async function processorSeconds(page) {
  const session = await page.context().browser().newBrowserCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  await session.detach();
  const { trace } = await recordTasks(page, async () => {});
  return processInfo.find(({ id }) => id === trace.process).cpuTime;
}
