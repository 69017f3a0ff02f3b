#pragma once

#include <memory>
#include <optional>

#include "core/schedule.hpp"
#include "core/tensor.hpp"
#include "layer/mask.hpp"
#include "layer/parameters.hpp"
#include "layer/token_layout.hpp"
#include "linalg/panels.hpp"

namespace cross_attention::layer {

/// The context of one call: the given one, or the input's own tokens.
template <class T>
struct Context {
  Tensor<T> tensor;
  TokenLayout layout;
  bool isInput = false;

  /// length × contextDim of one batch row.
  linalg::MatrixView<const T> rows(Index batchRow) const {
    return layout.channelsByTokens(tensor.data(), layout.batch == 1 ? 0 : batchRow).transposed();
  }
};

/// The keys and values of a context, projected and packed as left operands, head by head. Keys that a key mask ignores
/// for a whole batch row are left out: nothing is computed for them here or later. There is one set a batch row, or one
/// for all rows where they share context and mask.
template <class T>
class ProjectedContext {
 public:
  /// `transposed`: also keysTransposed and values, which the way back needs. Allocates; the work is done by addStages.
  ProjectedContext(const Configuration& configuration, const Parameters<T>& parameters,
                   const Context<T>& context, std::shared_ptr<const KeyMask> mask, bool transposed);

  /// The work. Parameters and this object must stay as they are until it is done.
  void addStages(Schedule& schedule, const Parameters<T>& parameters, const Context<T>& context);

  /// Keeps a copy of the context, so that matches can tell later; before addStages. Nothing for contexts too large for
  /// that.
  void remember(const Context<T>& context);
  /// Whether this is what would come out for these arguments: compared by content, for tensors change under views.
  bool matches(const Parameters<T>& parameters, const Context<T>& context, const KeyMask* mask,
               bool transposed) const;

  Index sets() const { return static_cast<Index>(sets_.size()); }
  Index setOf(Index batchRow) const { return sets() == 1 ? 0 : batchRow; }
  /// Keys of a set that are attended to.
  Index keyCount(Index set) const { return at(set).keys; }
  Index mostKeys() const { return mostKeys_; }
  /// Their numbers in the context; null: all of them in order.
  const Index* keyNumbers(Index set) const;

  linalg::RowPanels<T> keys(Index set, Index head) const;            ///< keys × headDim, · scale
  linalg::RowPanels<T> keysTransposed(Index set, Index head) const;  ///< headDim × keys, · scale
  linalg::RowPanels<T> values(Index set, Index head) const;          ///< keys × headDim
  linalg::RowPanels<T> valuesTransposed(Index set, Index head) const;  ///< headDim × keys

  /// The attended rows of a set's context, `count` from `begin`, gathered into `gathered` where they do not lie in order.
  linalg::MatrixView<const T> contextRows(const Context<T>& context, Index set, Index begin,
                                          Index count, T* gathered) const;

  bool isRemembered() const { return remembered_.has_value(); }
  std::size_t bytes() const;

 private:
  struct Set {
    Index keys;
    Amount offset;            ///< of the set's first head in keys_ and values_
    Amount transposedOffset;  ///< the same in keysTransposed_ and valuesTransposed_
  };

  const Set& at(Index set) const { return sets_[static_cast<std::size_t>(set)]; }
  void project(const Parameters<T>& parameters, Index set, Index head, bool isKey, Index begin,
               linalg::ColumnPanels<const T> contextPanels, Scratch& scratch);
  Amount projectScratchBytes(Index keys) const;

  Configuration configuration_;
  std::uint64_t version_;
  std::shared_ptr<const KeyMask> mask_;
  std::vector<Set> sets_;
  Index mostKeys_ = 0;
  Buffer<T> keys_, valuesTransposed_, keysTransposed_, values_;
  Buffer<T> contextPanels_;  ///< while the stages run
  std::optional<Tensor<T>> remembered_;
};

}  // namespace cross_attention::layer
