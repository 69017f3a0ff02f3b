// Measures the processor time of a page, which does not depend on the load of the machine.
import { recordTasks } from './thread_tasks.mjs';

/**
 * Returns the processor time in seconds of all threads of a page's process: main thread, workers,
 * compilation.
 * @param {import('playwright-core').Page} page
 */
export async function processorSeconds(page) {
  const session = await page.context().browser().newBrowserCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  await session.detach();
  const { trace } = await recordTasks(page, async () => {});
  return processInfo.find(({ id }) => id === trace.process).cpuTime;
}
