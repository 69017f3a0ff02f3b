#pragma once

#include <array>
#include <initializer_list>
#include <memory>

#include "core/schedule.hpp"
#include "layer/parameters.hpp"
#include "linalg/panels.hpp"

namespace cross_attention::layer {

/// A weight as a left operand. Those of heads are packed head by head: a head's headDim rows fill whole panels.
enum class PackedWeight {
  kQuery,
  kQueryTransposed,
  kOutput,
  kOutputTransposed,
  kKeyOfHeads,
  kValueOfHeads,
  kQueryOfHeads,
  kOutputTransposedOfHeads,
};

/// The weights of one version of the parameters, each packed when a pass first needs it, once for all passes until the
/// parameters change.
template <class T>
class PackedWeights {
 public:
  PackedWeights(const Configuration& configuration, const Parameters<T>& parameters)
      : configuration_(configuration), parameters_(parameters), version_(parameters.version()) {}

  std::uint64_t version() const { return version_; }
  std::size_t bytes() const;

  /// Packs those that are not packed yet, on the pool's threads. Throws kOutOfMemory.
  void require(std::initializer_list<PackedWeight> weights,
               const std::shared_ptr<Workspace>& workspace);

  /// Only what was required.
  linalg::RowPanels<T> operator[](PackedWeight weight) const;
  /// headDim rows of one of those of heads.
  linalg::RowPanels<T> ofHead(PackedWeight weight, Index head) const;

 private:
  ByteCount elements(PackedWeight weight) const;
  linalg::RowPanels<T> layout(PackedWeight weight, const T* data, Index rows) const;
  void addStage(Schedule& schedule, PackedWeight weight, T* destination) const;
  Buffer<T>& at(PackedWeight weight) { return buffers_[static_cast<std::size_t>(weight)]; }
  const Buffer<T>& at(PackedWeight weight) const {
    return buffers_[static_cast<std::size_t>(weight)];
  }

  Configuration configuration_;
  const Parameters<T>& parameters_;
  std::uint64_t version_;
  std::array<Buffer<T>, 8> buffers_;
};

}  // namespace cross_attention::layer
