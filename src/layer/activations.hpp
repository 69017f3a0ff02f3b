#pragma once

#include "layer/arguments.hpp"
#include "layer/projected_context.hpp"

namespace cross_attention::layer {

/// What a training forward pass saves for the backward pass.
template <class T>
struct Activations {
  Arguments<T> arguments;
  std::shared_ptr<const ProjectedContext<T>> projected;
  std::uint64_t parametersVersion;
  /// [B, heads, N]
  Buffer<T> logSumExp;

  const T* logSumExpOf(const Configuration& configuration, Index batchRow, Index head) const {
    return logSumExp.data() + (batchRow * configuration.numHeads + head) * arguments.layout.tokens;
  }
};

}  // namespace cross_attention::layer
