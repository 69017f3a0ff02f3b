// Bicubic interpolation in float64, as PyTorch's interpolate(mode='bicubic', align_corners=False), written as
// one sum over 4 × 4 pixels.

/** Keys' kernel with a = -0.75. */
function kernel(distance) {
  const x = Math.abs(distance);
  if (x < 1) return 1.25 * x ** 3 - 2.25 * x ** 2 + 1;
  return x < 2 ? -0.75 * (x ** 3 - 5 * x ** 2 + 8 * x - 4) : 0;
}

const clamp = (value, size) => Math.min(Math.max(value, 0), size - 1);

/** Resizes height × width values to toHeight × toWidth. */
export function resizeBicubic(values, height, width, toHeight, toWidth) {
  return Float64Array.from({ length: toHeight * toWidth }, (_, index) => {
    const y = ((Math.floor(index / toWidth) + 0.5) * height) / toHeight - 0.5;
    const x = (((index % toWidth) + 0.5) * width) / toWidth - 0.5;
    let sum = 0;
    for (let row = Math.floor(y) - 1; row <= Math.floor(y) + 2; ++row) {
      for (let column = Math.floor(x) - 1; column <= Math.floor(x) + 2; ++column) {
        const value = values[clamp(row, height) * width + clamp(column, width)];
        sum += kernel(y - row) * kernel(x - column) * value;
      }
    }
    return sum;
  });
}
