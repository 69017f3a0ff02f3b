#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "core/schedule.hpp"
#include "layer/arguments.hpp"
#include "layer/folded_context.hpp"
#include "layer/packed_weights.hpp"
#include "linalg/panels.hpp"

namespace cross_attention::layer {

/// What a projected context contains besides the keys and transposed values.
struct ContextForms {
  /// Also keysTransposed and values, which the backward pass requires.
  bool transposed = false;
  /// Also the folded context: see FoldedContext.
  bool folded = false;
  /// The stages run more than once: their working memory is not freed.
  bool repeats = false;
  /// A copy of the context is saved, so that ContextCache can compare it. No copy is saved for self-attention
  /// and for large contexts.
  bool cacheable = false;
};

/// The keys and values of a context, projected and packed as left operands, head by head. Keys that a key
/// mask ignores for a whole batch row are left out; nothing is computed for them. There is one key/value
/// batch for each batch row, or one for all rows if they share context and mask.
template <class T>
class ProjectedContext {
 public:
  /// Allocates all memory; the stages compute the contents.
  ProjectedContext(const Configuration& configuration, const Parameters<T>& parameters,
                   const Arguments<T>& arguments, const ContextForms& forms);

  /// The weights that the stages read.
  static constexpr PackedWeightSet requiredWeights(bool folded) {
    const PackedWeightSet projection{PackedWeight::kKeyPerHead, PackedWeight::kValuePerHead};
    return folded ? projection | FoldedContext<T>::kRequiredWeights : projection;
  }
  /// Adds the work. `weights` contains requiredWeights. This object, `weights` and `arguments` must not move
  /// until it is done.
  void addStages(Schedule& schedule, const PackedWeights<T>& weights, const Arguments<T>& arguments);

  // What ContextCache compares.
  std::uint64_t parametersVersion() const { return version_; }
  const KeyMask* mask() const { return mask_.get(); }
  bool hasForms(const ContextForms& forms) const;
  /// The shape of the context whose copy was saved; nothing if none was.
  const std::optional<Shape>& cachedShape() const { return cachedShape_; }
  /// Returns contextDim × count of a key/value batch: the attended rows of the saved copy.
  linalg::ColumnPanels<const T> contextPanels(Index kvBatch, Index count) const;

  Index kvBatches() const { return static_cast<Index>(kvBatches_.size()); }
  Index kvBatchOf(Index batchRow) const { return kvBatches() == 1 ? 0 : batchRow; }
  /// Returns the number of attended keys of a key/value batch.
  Index keyCount(Index kvBatch) const { return at(kvBatch).keys; }
  Index maxKeys() const { return maxKeys_; }
  /// Returns the indices of the attended keys in the context, or null if all keys are attended to.
  const Index* keyIndices(Index kvBatch) const;

  // The keys are multiplied by the softmax scale and log2(e).
  /// keys × headDim
  linalg::RowPanels<T> keys(Index kvBatch, Index head) const { return rowsOf(keys_, kvBatch, head); }
  /// headDim × keys
  linalg::RowPanels<T> keysTransposed(Index kvBatch, Index head) const {
    return transposedOf(keysTransposed_, kvBatch, head);
  }
  /// keys × headDim
  linalg::RowPanels<T> values(Index kvBatch, Index head) const { return rowsOf(values_, kvBatch, head); }
  /// headDim × keys
  linalg::RowPanels<T> valuesTransposed(Index kvBatch, Index head) const {
    return transposedOf(valuesTransposed_, kvBatch, head);
  }

  /// headDim × keys; requires both forms, transposed and folded. The folded gradient of Wo reads it.
  linalg::ColumnPanels<const T> valueColumns(Index kvBatch, Index head) const;

  /// Null without the folded form.
  const FoldedContext<T>* folded() const { return folded_ ? &*folded_ : nullptr; }

  /// Returns `count` attended rows of the context from `begin` on. Copies them to `gathered` if a key mask
  /// selects them, or if some are not finite and hidden by the additive mask: those are zeros in the copy,
  /// because the product of NaN and a probability of zero is NaN.
  linalg::MatrixView<const T> contextRows(const Arguments<T>& arguments, Index kvBatch, Index begin,
                                          Index count, T* gathered) const;
  /// Returns the bytes of `gathered` for `count` rows: 0 if contextRows never copies.
  ByteCount gatheredBytes(const Arguments<T>& arguments, Index count) const;

  std::size_t bytes() const;

 private:
  struct KvBatch {
    Index keys;
    /// The position of the first head in keys_ and values_.
    ByteCount offset;
    /// The same in keysTransposed_ and valuesTransposed_.
    ByteCount transposedOffset;
  };

  const KvBatch& at(Index kvBatch) const { return kvBatches_[static_cast<std::size_t>(kvBatch)]; }
  // Of one head in keys_ or values_, and in keysTransposed_ or valuesTransposed_.
  ByteCount rowsOffset(Index kvBatch, Index head) const;
  ByteCount transposedOffset(Index kvBatch, Index head) const;
  linalg::RowPanels<T> rowsOf(const Buffer<T>& buffer, Index kvBatch, Index head) const;
  linalg::RowPanels<T> transposedOf(const Buffer<T>& buffer, Index kvBatch, Index head) const;
  void project(const PackedWeights<T>& weights, Index kvBatch, Index head, bool isKey, Index begin,
               linalg::ColumnPanels<const T> contextPanels, Scratch& scratch);
  /// Returns innerDim × keys of a key/value batch in keyColumns_ or valueColumns_.
  template <class Elements>
  linalg::ColumnPanels<Elements> columnsOf(Elements* elements, Index kvBatch) const;
  void addFoldingStage(Schedule& schedule, const PackedWeights<T>& weights);
  ByteCount projectScratchBytes(Index keys) const;

  Configuration configuration_;
  std::uint64_t version_;
  std::shared_ptr<const KeyMask> mask_;
  bool repeats_;
  std::vector<KvBatch> kvBatches_;
  Index maxKeys_ = 0;
  Buffer<T> keys_, valuesTransposed_, keysTransposed_, values_;
  std::optional<FoldedContext<T>> folded_;
  /// contextDim × keys of each key/value batch, kKeysPerBlock at a time. Freed after the stages, unless it is
  /// the saved copy.
  Buffer<T> contextPanels_;
  /// Keys and values of all key/value batches for the folding stage. After the stages only valueColumns_ of
  /// the transposed form remains.
  Buffer<T> keyColumns_, valueColumns_;
  /// The shape of the context whose copy was saved.
  std::optional<Shape> cachedShape_;
};

}  // namespace cross_attention::layer
