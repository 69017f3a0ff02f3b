// Entry point of a contender's process in Node: handles the requests of contender_process.mjs.
import { contenderRequests } from './contender_requests.mjs';
import { contenders } from './contenders.mjs';

const requests = contenderRequests({
  ...contenders,
  // Native code: only in Node.
  onnxruntime_node: () => import('./contenders/onnxruntime_node.mjs'),
});

process.on('message', async ({ id, request, argument }) => {
  try {
    process.send({ id, result: await requests[request](argument) });
  } catch (error) {
    process.send({ id, error: { message: error?.message ?? String(error), stack: error?.stack } });
  }
});
process.on('disconnect', () => process.exit());
