// The process of one contender, in Node. Answers contender_process.mjs.
import { contenderRequests } from './contender_requests.mjs';
import { contenders } from './contenders.mjs';

const requests = contenderRequests({
  ...contenders,
  // Native code: not for pages.
  onnxruntime_node: () => import('./contenders/onnxruntime_node.mjs'),
});

process.on('message', async ({ id, request, argument }) => {
  try {
    process.send({ id, answer: await requests[request](argument) });
  } catch (error) {
    process.send({ id, error: { message: error?.message ?? String(error), stack: error?.stack } });
  }
});
process.on('disconnect', () => process.exit());
