/** The worker's door: begins when it is told what to measure. */
import type { Choices, News } from '../messages';
import { runBenchmark } from './benchmark';

self.onmessage = async ({ data }: MessageEvent<Choices>) => {
  const tell = (news: News): void => self.postMessage(news);
  try {
    await runBenchmark(data, tell);
  } catch (error) {
    tell({ kind: 'failed', message: error instanceof Error ? error.message : String(error) });
  }
};
