// The reference shapes of the project: cross-attention layers of Stable Diffusion 1.5 and XL, a
// self-attention layer (length null: no context) and a tiny layer.
const shape = (name, batch, queryDim, size, length, contextDim, numHeads) => ({
  name,
  batch,
  queryDim,
  height: size,
  width: size,
  length,
  contextDim,
  numHeads,
});

export const shapes = [
  shape('sd15-64', 2, 320, 64, 77, 768, 8),
  shape('sd15-32', 2, 640, 32, 77, 768, 8),
  shape('sd15-16', 2, 1280, 16, 77, 768, 8),
  shape('sdxl-64', 1, 640, 64, 77, 2048, 10),
  shape('sdxl-32', 1, 1280, 32, 77, 2048, 20),
  shape('self-64', 1, 320, 64, null, 320, 8),
  shape('tiny', 1, 64, 16, 16, 64, 4),
];

export const shapeNamed = (name) => shapes.find((candidate) => candidate.name === name);
