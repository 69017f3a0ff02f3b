#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/scratch.hpp"
#include "core/tensor.hpp"
#include "layer/parameters.hpp"

namespace cross_attention::layer {

/// A low-rank update of one weight.
template <class T>
struct LoraUpdate {
  ParameterId weight{};
  /// A: [rank, inFeatures].
  Tensor<T> down;
  /// B: [outFeatures, rank].
  Tensor<T> up;
  /// alpha / rank.
  double factor = 1;
};

/// The low-rank adaptations of a layer: W' = W + Σ scale · alpha / rank · B·A.
/// Based on: Hu et al., LoRA: Low-Rank Adaptation of Large Language Models (2021).
///
/// While the scale of a LoRA with updates is not zero, the parameters have effective values, W'. Their sums
/// are computed in double in the order of the LoRAs, and rounded once.
template <class T>
class Loras {
 public:
  /// Adds a LoRA without updates, of scale 0.
  void add() { loras_.emplace_back(); }
  /// Adds an update to the last LoRA. The caller checks the shapes.
  void addUpdate(LoraUpdate<T> update) { loras_.back().updates.push_back(std::move(update)); }
  std::size_t count() const { return loras_.size(); }
  /// One scale per LoRA. Allocates or frees the effective values first. Throws kOutOfMemory. Returns false if
  /// all LoRAs have these scales.
  bool setScales(std::span<const double> scales, Parameters<T>& parameters);
  /// Returns false if its scale was 0, so that the effective values stay.
  bool remove(std::size_t index, Parameters<T>& parameters);
  void clear(Parameters<T>& parameters);

  /// Computes the effective values unless they are those of the parameters' version.
  void refresh(Parameters<T>& parameters, const std::shared_ptr<Workspace>& workspace);

  /// The bytes of all updates.
  std::size_t bytes() const;

 private:
  struct Lora {
    double scale = 0;
    std::vector<LoraUpdate<T>> updates;

    bool isActive() const { return scale != 0 && !updates.empty(); }
  };

  bool isActive() const;
  /// Computes a row of a weight. `sums`: memory for its elements.
  void computeRow(const Parameters<T>& parameters, ParameterId weight, Index row, double* sums,
                  T* target) const;

  std::vector<Lora> loras_;
  /// The version of the parameters that the effective values belong to.
  std::uint64_t version_ = 0;
};

}  // namespace cross_attention::layer
