#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor.hpp"

namespace cross_attention::layer {

/// Sums the probabilities of groups of keys (the keys of a word) over heads, batch rows, layers and calls.
/// Based on: Tang et al., What the DAAM: Interpreting Stable Diffusion Using Cross Attention (2022).
class AttentionRecorder {
 public:
  /// The key indices of each group.
  using Groups = std::vector<std::vector<Index>>;

  /// The sums of the calls of one name whose inputs had the same height and width.
  struct Sums {
    std::string name;
    Index height;
    Index width;
    Buffer<double> values = {};  ///< groups × height × width; empty before the first call
    /// The maximum of a sum over one key: heads · rows of all calls.
    double weight = 0;
    Index calls = 0;

    /// Adds a call: sums [rows][groups][height][width] over `heads` heads.
    template <class T>
    void add(std::span<const T> sums, Index heads, Index rows) {
      std::size_t index = 0;
      for (Index row = 0; row < rows; ++row) {
        for (double& value : values) value += static_cast<double>(sums[index++]);
      }
      weight += static_cast<double>(heads * rows);
      ++calls;
    }
  };

  /// `size`: the height and width of the heat maps.
  AttentionRecorder(Index size, Groups groups);

  const std::shared_ptr<const Groups>& groups() const { return groups_; }
  /// Throws kArgument if a group has a key that a context of `length` keys has not.
  void checkKeys(Index length) const;
  /// Returns the sums that calls are to be added to. Without calls they count nothing.
  std::shared_ptr<Sums> sumsOf(std::string_view name, Index height, Index width);

  /// The number of recorded calls.
  Index calls() const;
  /// Returns the heat map of a group as [height, width]. The sums of each name and resolution are resized to
  /// size × size (see resizeBicubic), clamped at 0 and divided by their weight; the result is their mean,
  /// divided by its maximum if `normalize`, and resized once more if height and width are not `size`.
  /// `names`: those that take part; empty for all. Throws kArgument if nothing was recorded under a name.
  Tensor<float> heatMap(Index group, const std::vector<std::string>& names, bool normalize, Index height,
                        Index width) const;
  /// Forgets all calls. Those in progress are not recorded.
  void reset() { sums_.clear(); }

 private:
  void checkNames(const std::vector<std::string>& names) const;

  Index size_;
  std::shared_ptr<const Groups> groups_;
  std::vector<std::shared_ptr<Sums>> sums_;
};

}  // namespace cross_attention::layer
