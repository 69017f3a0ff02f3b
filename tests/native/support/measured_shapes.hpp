#pragma once

#include <algorithm>
#include <ostream>
#include <string>
#include <vector>

#include "support/layer_case.hpp"

namespace cross_attention::test {

/// A shape for which accuracy, memory and speed are guaranteed.
struct MeasuredShape {
  std::string name;
  CaseShape shape;

  std::string testName() const {
    std::string result = name;
    std::replace(result.begin(), result.end(), '-', '_');
    return result;
  }
};

inline std::ostream& operator<<(std::ostream& stream, const MeasuredShape& measured) {
  return stream << measured.shape.describe();
}

/// Describes a square image. If `contextDim` is 0, the call is self-attention.
inline CaseShape squareShape(Index batch, Index queryDim, Index side, Index length, Index contextDim,
                             Index numHeads) {
  CaseShape shape;
  shape.batch = batch;
  shape.queryDim = queryDim;
  shape.height = side;
  shape.width = side;
  shape.numHeads = numHeads;
  shape.context.reset();
  if (contextDim > 0) shape.context = Shape{batch, length, contextDim};
  return shape;
}

/// Returns the cross-attention layers of Stable Diffusion 1.5 and XL, one of their self-attention layers, and
/// a small layer.
inline std::vector<MeasuredShape> measuredShapes() {
  return {
      {"sd15-64", squareShape(2, 320, 64, 77, 768, 8)},    {"sd15-32", squareShape(2, 640, 32, 77, 768, 8)},
      {"sd15-16", squareShape(2, 1280, 16, 77, 768, 8)},   {"sdxl-64", squareShape(1, 640, 64, 77, 2048, 10)},
      {"sdxl-32", squareShape(1, 1280, 32, 77, 2048, 20)}, {"self-64", squareShape(1, 320, 64, 0, 0, 8)},
      {"tiny", squareShape(1, 64, 16, 16, 64, 4)},
  };
}

}  // namespace cross_attention::test
