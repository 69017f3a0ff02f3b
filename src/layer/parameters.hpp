#pragma once

#include <array>
#include <optional>
#include <span>
#include <string_view>

#include "core/buffer.hpp"
#include "core/shape.hpp"
#include "layer/configuration.hpp"
#include "linalg/matrix_view.hpp"

namespace cross_attention::layer {

/// The parameters in the order of the flat array; weights are [outFeatures, inFeatures], as diffusers keeps them.
enum class ParameterId { kQuery, kKey, kValue, kOutput, kOutputBias };

inline constexpr std::array<std::string_view, 5> kParameterNames = {
    "to_q.weight", "to_k.weight", "to_v.weight", "to_out.0.weight", "to_out.0.bias"};
inline constexpr Index kParameterCount = static_cast<Index>(kParameterNames.size());

/// One a parameter, in their order.
using ParameterShapes = std::array<Shape, kParameterNames.size()>;

std::optional<ParameterId> findParameter(std::string_view name);
inline std::string_view nameOf(ParameterId id) {
  return kParameterNames[static_cast<std::size_t>(id)];
}

/// Where each parameter lies in the flat array.
class ParameterLayout {
 public:
  explicit ParameterLayout(const Configuration& configuration);

  Index size() const { return size_; }
  const ParameterShapes& shapes() const { return shapes_; }
  const Shape& shape(ParameterId id) const { return shapes_[static_cast<std::size_t>(id)]; }
  Index offset(ParameterId id) const { return offsets_[static_cast<std::size_t>(id)]; }

 private:
  ParameterShapes shapes_;
  std::array<Index, kParameterNames.size()> offsets_{};
  Index size_ = 0;
};

/// A layer's parameters and their gradients, each one flat array.
template <class T>
class Parameters {
 public:
  /// Xavier-uniform weights (Glorot and Bengio, 2010): within ±√(6 / (inFeatures + outFeatures)), bias 0; zero
  /// gradients.
  explicit Parameters(const Configuration& configuration);

  Index size() const { return layout_.size(); }
  const ParameterShapes& shapes() const { return layout_.shapes(); }
  const Shape& shape(ParameterId id) const { return layout_.shape(id); }

  std::span<const T> values() const { return {values_.data(), static_cast<std::size_t>(size())}; }
  std::span<const T> values(ParameterId id) const { return part(values(), id); }
  /// Whoever writes values must call touch() afterwards.
  std::span<T> mutableValues() { return {values_.data(), static_cast<std::size_t>(size())}; }
  std::span<T> mutableValues(ParameterId id) { return part(mutableValues(), id); }
  std::span<T> gradients() { return {gradients_.data(), static_cast<std::size_t>(size())}; }
  std::span<const T> gradients() const {
    return {gradients_.data(), static_cast<std::size_t>(size())};
  }
  std::span<T> gradients(ParameterId id) { return part(gradients(), id); }

  /// Adds Σ over the columns of `outputGradient` (channels from `firstChannel` on × tokens) to the gradient of the bias.
  void addBiasGradient(linalg::MatrixView<const T> outputGradient, Index firstChannel);
  void clearGradients() { gradients_.clear(); }
  /// Plain gradient descent: p ← p - learningRate·dp, then the gradients are cleared. Whoever calls it calls touch().
  void descend(T learningRate);

  /// Counts the changes of the values: what was derived from an older version is stale.
  std::uint64_t version() const { return version_; }
  void touch() { ++version_; }

 private:
  template <class U>
  std::span<U> part(std::span<U> all, ParameterId id) const {
    return all.subspan(static_cast<std::size_t>(layout_.offset(id)),
                       static_cast<std::size_t>(shape(id).size()));
  }

  ParameterLayout layout_;
  Buffer<T> values_;
  Buffer<T> gradients_;
  std::uint64_t version_ = 1;
};

}  // namespace cross_attention::layer
