#include "layer/cost.hpp"

#include <emscripten/bind.h>
#include <emscripten/val.h>

namespace cross_attention::embind {

namespace {

using emscripten::val;

/// `dimensions`: queryDim, contextDim, numHeads, headDim, outputDim, and 1 with a norm of queries and keys.
layer::Configuration sizesOf(const val& dimensions) {
  const auto number = [&](int index) { return static_cast<Index>(dimensions[index].as<double>()); };
  layer::Configuration configuration;
  configuration.queryDim = number(0);
  configuration.contextDim = number(1);
  configuration.numHeads = number(2);
  configuration.headChannels = number(3);
  configuration.outputChannels = number(4);
  if (number(5) != 0) configuration.queryKeyNorm = layer::QueryKeyNorm::kRmsNorm;
  return configuration;
}

/// Returns the FLOPs of a forward pass. `tokens`: of all batch rows; each attends to `keys` keys.
/// `projectedKeys`: the keys of all key/value batches that the pass projects; 0 if the context was prepared
/// before.
double forwardFlops(const val& dimensions, double tokens, double keys, double projectedKeys, bool folded) {
  const layer::Configuration configuration = sizesOf(dimensions);
  return layer::tokenFlops(configuration, tokens, keys, folded) +
         layer::contextFlops(configuration, projectedKeys, folded);
}

bool foldsConstantContext(const val& dimensions, double keys) {
  return layer::foldsConstantContext(sizesOf(dimensions), keys);
}

}  // namespace

EMSCRIPTEN_BINDINGS(cost) {
  emscripten::function("forwardFlops", &forwardFlops);
  emscripten::function("foldsConstantContext", &foldsConstantContext);
}

}  // namespace cross_attention::embind
