// Exports the built package and its ONNX entry, whose toOnnx has more options.
export * from './package.mjs';
export { fromOnnx, toOnnx } from 'diffusion-cross-attention/onnx';
