#pragma once

#include <memory>
#include <vector>

#include "attention/group_sums.hpp"
#include "layer/attention_recorder.hpp"
#include "layer/projected_context.hpp"
#include "layer/record_options.hpp"

namespace cross_attention::layer {

/// Returns [height, width] of the maps of an input: of the image, or of a square of tokens.
Shape mapSize(const TokenLayout& input);

/// Throws kShape if the tokens are no square or the batch has no halves, kArgument if the context lacks a
/// key.
void checkRecording(const RecordOptions& options, const TokenLayout& input, Index length);

/// The sums of one call, which are added to those of a recorder when the call has finished.
template <class T>
class Recording {
 public:
  /// Allocates all memory. The arguments were checked; the recorder need not outlive this object.
  Recording(const RecordOptions& options, Index heads, const TokenLayout& input,
            const ProjectedContext<T>& context);
  /// Frees the recorder's memory for these sums if all calls failed that were to use it.
  ~Recording();
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  Index groups() const { return groups_; }
  /// Returns where a block of tokens adds its probabilities; tasks of different blocks share no memory.
  attention::GroupSums<T> ofBlock(Index batchRow, Index kvBatch, Index firstToken);
  /// Adds the sums to the recorder's.
  void commit();

 private:
  Index groups_;
  Index heads_;
  Index firstRow_;
  Index rows_;
  Index tokens_;
  /// The recorded keys of each key/value batch, without those that a key mask ignores.
  std::vector<std::vector<attention::GroupKey>> keys_;
  std::shared_ptr<AttentionRecorder::Sums> total_;
  Buffer<T> sums_;  ///< rows × groups × tokens
};

}  // namespace cross_attention::layer
