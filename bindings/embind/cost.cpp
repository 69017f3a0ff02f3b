#include "layer/cost.hpp"

#include <emscripten/bind.h>

namespace cross_attention::embind {

namespace {

layer::Configuration sizesOf(double queryDim, double contextDim, double numHeads) {
  return {.queryDim = static_cast<Index>(queryDim),
          .contextDim = static_cast<Index>(contextDim),
          .numHeads = static_cast<Index>(numHeads)};
}

/// Returns the FLOPs of a forward pass. `tokens`: of all batch rows; each attends to `keys` keys.
/// `projectedKeys`: the keys of all key/value batches that the pass projects; 0 if the context was prepared
/// before.
double forwardFlops(double queryDim, double contextDim, double numHeads, double tokens, double keys,
                    double projectedKeys, bool folded) {
  const layer::Configuration configuration = sizesOf(queryDim, contextDim, numHeads);
  return layer::tokenFlops(configuration, tokens, keys, folded) +
         layer::contextFlops(configuration, projectedKeys, folded);
}

bool foldsConstantContext(double queryDim, double numHeads, double keys) {
  return layer::foldsConstantContext(sizesOf(queryDim, queryDim, numHeads), keys);
}

}  // namespace

EMSCRIPTEN_BINDINGS(cost) {
  emscripten::function("forwardFlops", &forwardFlops);
  emscripten::function("foldsConstantContext", &foldsConstantContext);
}

}  // namespace cross_attention::embind
