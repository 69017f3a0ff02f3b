// A Worker's program: computes with what it is sent.
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
  for (const owned of [layer, x, c, output, outputAsync, inputGradient]) owned.dispose();
  parentPort.postMessage({ ...message, memoryInUse: memoryInUse() });
});
