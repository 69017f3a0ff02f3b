// Program of a Worker: runs a layer on the data of each message.
import { parentPort, workerData } from 'node:worker_threads';
import { DiffusionCrossAttention, init, memoryInUse, Tensor } from 'diffusion-cross-attention';

parentPort.on('message', async ({ parameters, input, context }) => {
  const info = await init(workerData.initOptions);
  const tensorOf = ({ data, shape }) => Tensor.from(data, shape);
  const [batch, channels] = input.shape;
  const layer = new DiffusionCrossAttention(channels, context.shape[2], 3, batch);
  layer.setParameters(parameters);
  layer.training = true;
  const [x, c] = [tensorOf(input), tensorOf(context)];
  const output = layer.forwardWithContext(x, c);
  const outputAsync = await layer.forwardAsync(x, c);
  const inputGradient = layer.backward(output);
  const message = {
    info: { ...info },
    output: output.data(),
    outputAsync: outputAsync.data(),
    inputGradient: inputGradient.data(),
    parameterGradients: layer.getParameterGradients(),
  };
  for (const resource of [layer, x, c, output, outputAsync, inputGradient]) resource.dispose();
  parentPort.postMessage({ ...message, memoryInUse: memoryInUse() });
});
