/** Runs a contender in its own worker, because threads and SIMD variant are fixed per worker. */
import { contenderRequests } from '../../../bench/contender_requests.mjs';
import { contenders } from '../../../bench/contenders.mjs';
import { messageOf } from '../../shared/message_of';
import type { ContenderRequest, ContenderResponse } from './contender_worker';

const requests: Record<string, (argument: never) => unknown> = contenderRequests(contenders);

self.onmessage = async ({ data: { id, request, argument } }: MessageEvent<ContenderRequest>) => {
  const post = (response: ContenderResponse): void => self.postMessage(response);
  try {
    post({ id, result: await requests[request]!(argument as never) });
  } catch (error) {
    post({ id, error: messageOf(error) });
  }
};
