#include "layer/recording.hpp"

#include <algorithm>
#include <cmath>

#include "core/error.hpp"

namespace cross_attention::layer {

namespace {

/// Inserts a key into keys in ascending order. They are few: sorting them would take 4 KB of code.
void insert(std::vector<attention::GroupKey>& keys, attention::GroupKey added) {
  auto position = keys.end();
  while (position != keys.begin() && position[-1].key > added.key) --position;
  keys.insert(position, added);
}

/// The keys of all groups as a key/value batch has them, in ascending order.
template <class T>
std::vector<attention::GroupKey> recordedKeys(const AttentionRecorder::Groups& groups,
                                              const ProjectedContext<T>& context, Index kvBatch) {
  const Index* attended = context.keyIndices(kvBatch);
  std::vector<attention::GroupKey> keys;
  for (std::size_t group = 0; group < groups.size(); ++group) {
    for (Index key : groups[group]) {
      // A row that attends to nothing has a key mask, but no indices.
      if (context.mask() != nullptr) {
        const Index* end = attended + context.keyCount(kvBatch);
        const Index* found = std::lower_bound(attended, end, key);
        if (found == end || *found != key) continue;
        key = found - attended;
      }
      insert(keys, {key, static_cast<Index>(group)});
    }
  }
  return keys;
}

}  // namespace

Shape mapSize(const TokenLayout& input) {
  if (input.channelsFirst) return {input.shape[2], input.shape[3]};
  const Index side = std::lround(std::sqrt(static_cast<double>(input.tokens)));
  return {side, side};
}

void checkRecording(const RecordOptions& options, const TokenLayout& input, Index length) {
  if (mapSize(input).size() != input.tokens) {
    failShape({"input has ", input.tokens,
               " tokens; expected an image [B, C, H, W] or a square number of tokens for `record`"});
  }
  if (options.conditional && input.batch % 2 != 0) {
    failShape({"input has a batch of ", input.batch, "; expected an even one for rows: \"conditional\""});
  }
  options.recorder->checkKeys(length);
}

template <class T>
Recording<T>::Recording(const RecordOptions& options, Index heads, const TokenLayout& input,
                        const ProjectedContext<T>& context)
    : groups_(static_cast<Index>(options.recorder->groups()->size())),
      heads_(heads),
      firstRow_(options.conditional ? input.batch / 2 : 0),
      rows_(input.batch - firstRow_),
      tokens_(input.tokens),
      sums_(ByteCount{rows_} * groups_ * tokens_) {
  for (Index kvBatch = 0; kvBatch < context.kvBatches(); ++kvBatch) {
    keys_.push_back(recordedKeys(*options.recorder->groups(), context, kvBatch));
  }
  sums_.clear();
  const Shape size = mapSize(input);
  total_ = options.recorder->sumsOf(options.name, size[0], size[1]);
}

template <class T>
Recording<T>::~Recording() {
  // Two references: this one, and the recorder's unless it was reset.
  if (total_->calls == 0 && total_.use_count() <= 2) total_->values = Buffer<double>();
}

template <class T>
attention::GroupSums<T> Recording<T>::ofBlock(Index batchRow, Index kvBatch, Index firstToken) {
  if (batchRow < firstRow_) return {};
  return {.keys = keys_[static_cast<std::size_t>(kvBatch)],
          .groups = groups_,
          .sums = sums_.data() + (batchRow - firstRow_) * groups_ * tokens_ + firstToken,
          .groupStride = tokens_};
}

template <class T>
void Recording<T>::commit() {
  total_->add(std::span<const T>(sums_.begin(), sums_.end()), heads_, rows_);
}

template class Recording<float>;
template class Recording<double>;

}  // namespace cross_attention::layer
