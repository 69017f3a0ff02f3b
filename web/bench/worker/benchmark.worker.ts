/** The entry point of the benchmark's worker: starts a run when it receives the choices. */
import { messageOf } from '../../shared/message_of';
import type { Choices, BenchmarkEvent } from '../messages';
import { runBenchmark } from './benchmark';

self.onmessage = async ({ data }: MessageEvent<Choices>) => {
  const post = (event: BenchmarkEvent): void => self.postMessage(event);
  try {
    await runBenchmark(data, post);
  } catch (error) {
    post({ kind: 'failed', message: messageOf(error) });
  }
};
