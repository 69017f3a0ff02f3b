// The built package together with its entry for ONNX, whose toOnnx can do more.
export * from './package.mjs';
export { fromOnnx, toOnnx } from 'diffusion-cross-attention/onnx';
