#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "core/buffer.hpp"
#include "core/shape.hpp"
#include "layer/configuration.hpp"
#include "linalg/matrix_view.hpp"

namespace cross_attention::layer {

/// The parameters in the order of the flat array. Weights are [outFeatures, inFeatures], as in diffusers.
enum class ParameterId : std::uint8_t {
  kQuery,
  kQueryBias,
  kKey,
  kKeyBias,
  kValue,
  kValueBias,
  kQueryNorm,
  kQueryNormBias,
  kKeyNorm,
  kKeyNormBias,
  kOutput,
  kOutputBias,
};

inline constexpr std::array<std::string_view, 12> kParameterNames = {
    "to_q.weight",   "to_q.bias",   "to_k.weight",   "to_k.bias",   "to_v.weight",     "to_v.bias",
    "norm_q.weight", "norm_q.bias", "norm_k.weight", "norm_k.bias", "to_out.0.weight", "to_out.0.bias"};
inline constexpr Index kParameterCount = static_cast<Index>(kParameterNames.size());

/// One shape per parameter, in their order; [0] for those that a layer does not have.
using ParameterShapes = std::array<Shape, kParameterNames.size()>;

inline std::string_view nameOf(ParameterId id) { return kParameterNames[static_cast<std::size_t>(id)]; }

/// The position of each parameter in the flat array.
class ParameterLayout {
 public:
  explicit ParameterLayout(const Configuration& configuration);

  Index size() const { return size_; }
  const ParameterShapes& shapes() const { return shapes_; }
  bool has(ParameterId id) const { return shape(id).size() > 0; }
  /// Returns the parameters that the layer has, in their order.
  std::span<const ParameterId> ids() const { return {ids_.data(), count_}; }
  /// Returns nothing if the layer has no parameter of this name.
  std::optional<ParameterId> find(std::string_view name) const;
  const Shape& shape(ParameterId id) const { return shapes_[static_cast<std::size_t>(id)]; }
  Index offset(ParameterId id) const { return offsets_[static_cast<std::size_t>(id)]; }

 private:
  ParameterShapes shapes_;
  std::array<Index, kParameterNames.size()> offsets_{};
  std::array<ParameterId, kParameterNames.size()> ids_{};
  std::size_t count_ = 0;
  Index size_ = 0;
};

/// The parameters of a layer and their gradients, each as one flat array. The gradients are zero, and have no
/// memory, until requireGradients: a layer that is never trained has none. Effective values, with which
/// passes compute instead of the layer's own, exist only while LoRAs are in effect.
template <class T>
class Parameters {
 public:
  /// Initializes the weights uniformly within ±√(6 / (inFeatures + outFeatures)) (Xavier; Glorot and Bengio,
  /// 2010), the weights of norms with ones, biases with zeros.
  explicit Parameters(const Configuration& configuration);

  const ParameterLayout& layout() const { return layout_; }
  Index size() const { return layout_.size(); }
  const ParameterShapes& shapes() const { return layout_.shapes(); }
  const Shape& shape(ParameterId id) const { return layout_.shape(id); }

  std::span<const T> values() const { return {values_.data(), static_cast<std::size_t>(size())}; }
  std::span<const T> values(ParameterId id) const { return part(values(), id); }
  // Call touch() after writing values.
  std::span<T> mutableValues() { return {values_.data(), static_cast<std::size_t>(size())}; }
  std::span<T> mutableValues(ParameterId id) { return part(mutableValues(), id); }
  /// The values that passes compute with: the effective ones if there are any, else the layer's own.
  std::span<const T> effective() const {
    return {(hasEffective() ? effective_ : values_).data(), static_cast<std::size_t>(size())};
  }
  std::span<const T> effective(ParameterId id) const { return part(effective(), id); }
  /// Returns the effective values, or null if the layer does not have the parameter.
  const T* find(ParameterId id) const { return layout_.has(id) ? effective(id).data() : nullptr; }
  bool hasEffective() const { return !effective_.empty(); }
  /// Allocates the effective values, uninitialized, unless they have memory. Throws kOutOfMemory.
  void requireEffective() {
    if (!hasEffective()) effective_ = Buffer<T>(size());
  }
  void dropEffective() { effective_ = Buffer<T>(); }
  // Require requireEffective.
  std::span<T> mutableEffective() { return {effective_.data(), static_cast<std::size_t>(size())}; }
  std::span<T> mutableEffective(ParameterId id) { return part(mutableEffective(), id); }
  /// Allocates the gradients, all zero, unless they have memory. Throws kOutOfMemory.
  void requireGradients();
  /// Empty before requireGradients.
  std::span<const T> gradients() const {
    return {gradients_.data(), static_cast<std::size_t>(gradients_.size())};
  }
  /// Requires requireGradients.
  std::span<T> gradients(ParameterId id) {
    return part(std::span<T>(gradients_.data(), static_cast<std::size_t>(size())), id);
  }

  /// If false, backward passes do not compute the gradient of this parameter, which stays as it is. Default
  /// true.
  bool isTrainable(ParameterId id) const { return !frozen_[static_cast<std::size_t>(id)]; }
  void setTrainable(ParameterId id, bool trainable) { frozen_[static_cast<std::size_t>(id)] = !trainable; }

  /// Adds the sums over the tokens to the gradient of a bias, if the layer has it and it is trainable.
  /// `gradient`: channels × tokens, where the first row is channel `firstChannel`.
  void addBiasGradient(ParameterId bias, linalg::MatrixView<const T> gradient, Index firstChannel);
  /// Does nothing if the gradients have no memory.
  void clearGradients() { gradients_.clear(); }
  /// Plain gradient descent: updates p ← p - learningRate·dp and clears the gradients, of all parameters or
  /// of one. Call touch() afterwards.
  void stepGradientDescent(T learningRate);
  void stepGradientDescent(ParameterId id, T learningRate);

  /// Counts the changes of the values. What was computed from an older version is stale.
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
  Buffer<T> effective_;
  Buffer<T> gradients_;
  std::array<bool, kParameterNames.size()> frozen_{};
  std::uint64_t version_ = 1;
};

}  // namespace cross_attention::layer
