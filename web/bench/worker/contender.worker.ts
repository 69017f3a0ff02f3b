/** A contender in a worker of its own: threads and SIMD variants are chosen once a worker. Answers ContenderWorker. */
import { contenderRequests } from '../../../bench/contender_requests.mjs';
import { contenders } from '../../../bench/contenders.mjs';
import type { Answer, Question } from './contender_worker';

const requests: Record<string, (argument: never) => unknown> = contenderRequests(contenders);

self.onmessage = async ({ data: { id, request, argument } }: MessageEvent<Question>) => {
  const tell = (answer: Answer): void => self.postMessage(answer);
  try {
    tell({ id, answer: await requests[request]!(argument as never) });
  } catch (error) {
    tell({ id, error: error instanceof Error ? error.message : String(error) });
  }
};
