#pragma once

#include <memory>
#include <optional>

#include "core/schedule.hpp"
#include "core/tensor.hpp"
#include "layer/folded_context.hpp"
#include "layer/mask.hpp"
#include "layer/packed_weights.hpp"
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
  /// What there is beside the keys and values themselves.
  struct Forms {
    bool transposed;       ///< keysTransposed and values, which the way back needs
    bool folded;           ///< see FoldedContext
    bool repeats = false;  ///< the stages are run again and again: they keep what they work with
  };

  /// Allocates; the work is done by addStages.
  ProjectedContext(const Configuration& configuration, const Parameters<T>& parameters,
                   const Context<T>& context, std::shared_ptr<const KeyMask> mask, Forms forms);

  /// The work. Takes kKeyOfHeads and kValueOfHeads of `weights`, and what FoldedContext takes. They, this object and
  /// `context` must stay where they are until it is done.
  void addStages(Schedule& schedule, const PackedWeights<T>& weights, const Context<T>& context);

  /// Keeps the packed context, so that matches can tell later; before addStages. Nothing for contexts too large for
  /// that.
  void remember(const Context<T>& context);
  /// Whether this is what would come out for these arguments: compared by content, for tensors change under views.
  bool matches(const Parameters<T>& parameters, const Context<T>& context, const KeyMask* mask,
               Forms forms) const;

  Index sets() const { return static_cast<Index>(sets_.size()); }
  Index setOf(Index batchRow) const { return sets() == 1 ? 0 : batchRow; }
  /// Keys of a set that are attended to.
  Index keyCount(Index set) const { return at(set).keys; }
  Index mostKeys() const { return mostKeys_; }
  /// Their numbers in the context; null: all of them in order.
  const Index* keyNumbers(Index set) const;

  // The keys are multiplied by the softmax scale and log2(e).
  /// keys × headDim
  linalg::RowPanels<T> keys(Index set, Index head) const { return rowsOf(keys_, set, head); }
  /// headDim × keys
  linalg::RowPanels<T> keysTransposed(Index set, Index head) const {
    return transposedOf(keysTransposed_, set, head);
  }
  /// keys × headDim
  linalg::RowPanels<T> values(Index set, Index head) const { return rowsOf(values_, set, head); }
  /// headDim × keys
  linalg::RowPanels<T> valuesTransposed(Index set, Index head) const {
    return transposedOf(valuesTransposed_, set, head);
  }

  /// headDim × keys; with both forms only: what the gradient of Wo takes, folded.
  linalg::ColumnPanels<const T> valueColumns(Index set, Index head) const;

  /// Null unless asked for.
  const FoldedContext<T>* folded() const { return folded_ ? &*folded_ : nullptr; }

  /// The attended rows of a set's context, `count` from `begin`, gathered into `gathered` where they do not lie in order.
  linalg::MatrixView<const T> contextRows(const Context<T>& context, Index set, Index begin,
                                          Index count, T* gathered) const;

  bool isRemembered() const { return rememberedShape_.has_value(); }
  std::size_t bytes() const;

 private:
  struct Set {
    Index keys;
    ByteCount offset;            ///< of the set's first head in keys_ and values_
    ByteCount transposedOffset;  ///< the same in keysTransposed_ and valuesTransposed_
  };

  linalg::ColumnPanels<const T> contextPanels(Index set, Index count) const;
  /// Whether a set's packed context holds what `context` does, bit by bit.
  bool holdsContext(const Context<T>& context, Index set) const;
  const Set& at(Index set) const { return sets_[static_cast<std::size_t>(set)]; }
  // Of one head in keys_ or values_, and in keysTransposed_ or valuesTransposed_.
  ByteCount rowsOffset(Index set, Index head) const;
  ByteCount transposedOffset(Index set, Index head) const;
  linalg::RowPanels<T> rowsOf(const Buffer<T>& buffer, Index set, Index head) const;
  linalg::RowPanels<T> transposedOf(const Buffer<T>& buffer, Index set, Index head) const;
  void project(const PackedWeights<T>& weights, Index set, Index head, bool isKey, Index begin,
               linalg::ColumnPanels<const T> contextPanels, Scratch& scratch);
  /// queryDim × keys of a set in one of the buffers for folding.
  template <class Elements>
  linalg::ColumnPanels<Elements> columnsOf(Elements* elements, Index set) const;
  void addFoldingStage(Schedule& schedule, const PackedWeights<T>& weights);
  ByteCount projectScratchBytes(Index keys) const;

  Configuration configuration_;
  std::uint64_t version_;
  std::shared_ptr<const KeyMask> mask_;
  bool repeats_;
  std::vector<Set> sets_;
  Index mostKeys_ = 0;
  Buffer<T> keys_, valuesTransposed_, keysTransposed_, values_;
  std::optional<FoldedContext<T>> folded_;
  /// contextDim × keys of each set, kKeysAtATime of them; while the stages run, and after if it is remembered.
  Buffer<T> contextPanels_;
  /// For folding, set after set; after the stages only valueColumns_ of the transposed form.
  Buffer<T> keyColumns_, valueColumns_;
  std::optional<Shape> rememberedShape_;
};

}  // namespace cross_attention::layer
