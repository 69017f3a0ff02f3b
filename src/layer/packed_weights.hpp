#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>

#include "core/schedule.hpp"
#include "layer/parameters.hpp"
#include "linalg/panels.hpp"

namespace cross_attention::layer {

/// A weight packed as a left operand. Those per head are packed head by head: the headDim rows of a head fill
/// whole panels.
enum class PackedWeight : std::uint8_t {
  kQuery,
  kQueryTransposed,
  kQueryPerHead,
  kKeyPerHead,
  kValuePerHead,
  kOutput,
  kOutputTransposed,
  kOutputTransposedPerHead,
};
inline constexpr std::size_t kPackedWeightCount = 8;

/// A set of packed weights.
class PackedWeightSet {
 public:
  constexpr PackedWeightSet(std::initializer_list<PackedWeight> weights) {
    for (const PackedWeight weight : weights) bits_ |= bitOf(weight);
  }
  constexpr PackedWeightSet operator|(PackedWeightSet other) const {
    other.bits_ |= bits_;
    return other;
  }
  constexpr bool contains(PackedWeight weight) const { return (bits_ & bitOf(weight)) != 0; }

 private:
  static constexpr std::uint32_t bitOf(PackedWeight weight) { return 1u << static_cast<unsigned>(weight); }

  std::uint32_t bits_ = 0;
};

/// The weights of one version of the parameters. Each is packed when a pass first requires it, and serves all
/// passes until the parameters change.
template <class T>
class PackedWeights {
 public:
  PackedWeights(const Configuration& configuration, const Parameters<T>& parameters)
      : configuration_(configuration), parameters_(parameters), version_(parameters.version()) {}

  const Parameters<T>& parameters() const { return parameters_; }
  std::uint64_t version() const { return version_; }
  std::size_t bytes() const;

  /// Packs those of `weights` that are not packed yet, on the pool's threads. Throws kOutOfMemory.
  void require(PackedWeightSet weights, const std::shared_ptr<Workspace>& workspace);

  /// Returns a weight that was required and is not packed per head.
  linalg::RowPanels<T> operator[](PackedWeight weight) const;
  /// Returns the headDim rows of one head of a weight that was required and is packed per head.
  linalg::RowPanels<T> ofHead(PackedWeight weight, Index head) const;

 private:
  ByteCount elements(PackedWeight weight) const;
  linalg::RowPanels<T> layout(PackedWeight weight, const T* data, Index rows) const;
  void addStage(Schedule& schedule, PackedWeight weight, T* destination) const;
  const Buffer<T>& at(PackedWeight weight) const { return buffers_[static_cast<std::size_t>(weight)]; }

  Configuration configuration_;
  const Parameters<T>& parameters_;
  std::uint64_t version_;
  std::array<Buffer<T>, kPackedWeightCount> buffers_;
};

}  // namespace cross_attention::layer
