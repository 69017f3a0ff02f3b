#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "layer/diffusion_cross_attention.hpp"

namespace cross_attention::weights {

/// What is told of a named tensor that may become a parameter, whatever its type.
struct CandidateDescription {
  std::string name;                      ///< as its source names it
  std::optional<std::string> parameter;  ///< the parameter it is meant for; none: to be ignored
  Shape shape;
};

/// Such a tensor: from a file or from memory.
template <class T>
struct Candidate : CandidateDescription {
  std::function<void(std::span<T>)> read;  ///< writes shape.size() values; may throw kWeights
};

struct LoadReport {
  std::vector<std::string> loaded;   ///< parameter names
  std::vector<std::string> skipped;  ///< candidate names that no parameter has
};

/// Sets the layer's parameters from the candidates, all or nothing: on an error no parameter has changed. Throws kWeights
/// for a wrong shape, two candidates for one parameter, values that cannot be read, and, where `strict`, for missing
/// parameters or candidates that no parameter has (PyTorch's load_state_dict does the same).
template <class T>
LoadReport loadWeights(layer::DiffusionCrossAttention<T>& layer,
                       std::span<const Candidate<T>> candidates, bool strict);

}  // namespace cross_attention::weights
