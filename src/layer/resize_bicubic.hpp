#pragma once

#include "linalg/matrix_view.hpp"

namespace cross_attention::layer {

/// Resizes an image to the size of `result` by bicubic interpolation, as PyTorch's
/// interpolate(mode="bicubic", align_corners=False): Keys, Cubic convolution interpolation for digital image
/// processing (1981), with a = -0.75, and pixels beyond the border equal to those at the border. No filter
/// precedes a reduction in size. The result of an image without pixels is 0. Allocates result.columns ×
/// image.rows numbers.
void resizeBicubic(linalg::MatrixView<const double> image, linalg::MatrixView<double> result);

}  // namespace cross_attention::layer
