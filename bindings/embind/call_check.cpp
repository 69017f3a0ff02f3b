#include "layer/call_check.hpp"

#include <emscripten/bind.h>

#include "embind/arrays.hpp"

namespace cross_attention::embind {

namespace {

using emscripten::val;

std::optional<Shape> toShape(const val& array, const char* argument) {
  if (array.isNull()) return std::nullopt;
  return Shape::checked(toDimensions(array), argument);
}

/// Shapes are arrays of integers, or null without a context or a mask.
void checkCall(double queryDim, double contextDim, double numHeads, const val& input, const val& context,
               const val& mask) {
  const std::optional<Shape> contextShape = toShape(context, "context");
  const std::optional<Shape> maskShape = toShape(mask, "mask");
  layer::checkCall({.queryDim = static_cast<Index>(queryDim),
                    .contextDim = static_cast<Index>(contextDim),
                    .numHeads = static_cast<Index>(numHeads)},
                   *toShape(input, "input"), contextShape ? &*contextShape : nullptr,
                   maskShape ? &*maskShape : nullptr);
}

void checkOutputGradient(const val& outputGradient, const val& input) {
  layer::checkOutputGradient(*toShape(outputGradient, "outputGradient"), *toShape(input, "input"));
}

}  // namespace

EMSCRIPTEN_BINDINGS(call_check) {
  emscripten::function("checkCall", &checkCall);
  emscripten::function("checkOutputGradient", &checkOutputGradient);
}

}  // namespace cross_attention::embind
