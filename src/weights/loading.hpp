#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "layer/diffusion_cross_attention.hpp"

namespace cross_attention::weights {

/// Describes a named tensor that may be loaded into a parameter, independent of its type.
struct CandidateDescription {
  /// The name in its source.
  std::string name;
  /// The parameter that it maps to; none: the tensor is ignored.
  std::optional<std::string> parameter;
  Shape shape;
};

/// A tensor from a file or from memory.
template <class T>
struct Candidate : CandidateDescription {
  /// Writes shape.size() values; may throw kWeights.
  std::function<void(std::span<T>)> read;
};

struct LoadReport {
  std::vector<std::string> loaded;  ///< names of parameters
  /// Names of candidates that map to no parameter.
  std::vector<std::string> skipped;
};

/// Sets the layer's parameters from the candidates, all or nothing: after an error, no parameter has changed.
/// Throws kWeights for a wrong shape, two candidates for one parameter, values that cannot be read and, if
/// `strict`, for missing parameters or candidates that map to no parameter, as PyTorch's load_state_dict
/// does.
template <class T>
LoadReport loadWeights(layer::DiffusionCrossAttention<T>& layer, std::span<const Candidate<T>> candidates,
                       bool strict);

}  // namespace cross_attention::weights
