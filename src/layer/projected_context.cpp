#include "layer/projected_context.hpp"

#include <algorithm>
#include <bit>
#include <type_traits>

#include "attention/scores.hpp"
#include "linalg/multiply.hpp"

namespace cross_attention::layer {

namespace {

/// Keys projected at a time: a multiple of every tile size, so that each block fills whole panels.
constexpr Index kKeysAtATime = 480;
static_assert(kKeysAtATime % linalg::kTileRows<float> == 0);

/// A larger context is not remembered: it would cost more memory than the keys and values.
constexpr ByteCount kMostRememberedBytes = ByteCount{2} * 1024 * 1024;

}  // namespace

template <class T>
ProjectedContext<T>::ProjectedContext(const Configuration& configuration,
                                      const Parameters<T>& parameters, const Context<T>& context,
                                      std::shared_ptr<const KeyMask> mask, Forms forms)
    : configuration_(configuration),
      version_(parameters.version()),
      mask_(std::move(mask)),
      repeats_(forms.repeats) {
  const Index headDim = configuration.headDim();
  const Index masks = mask_ ? mask_->batch : 1;
  // None for an empty batch, whose context may be empty, too.
  const Index sets =
      std::min(context.layout.batch, masks) == 0 ? 0 : std::max(context.layout.batch, masks);
  ByteCount size = 0;
  ByteCount transposedSize = 0;
  for (Index set = 0; set < sets; ++set) {
    const Index keys = mask_ ? static_cast<Index>(mask_->row(set).size()) : context.layout.tokens;
    sets_.push_back({keys, size, transposedSize});
    mostKeys_ = std::max(mostKeys_, keys);
    size += configuration.numHeads * linalg::rowPanelsSize<T>(keys, headDim);
    transposedSize += configuration.numHeads * linalg::rowPanelsSize<T>(headDim, keys);
  }
  keys_ = Buffer<T>(size);
  valuesTransposed_ = Buffer<T>(transposedSize);
  if (forms.transposed) {
    values_ = Buffer<T>(size);
    keysTransposed_ = Buffer<T>(transposedSize);
  }
  contextPanels_ = Buffer<T>(sets * linalg::columnPanelsSize<T>(configuration.contextDim,
                                                                std::min(mostKeys_, kKeysAtATime)));
  if (forms.folded) {
    std::vector<Index> keyCounts;
    for (const Set& set : sets_) keyCounts.push_back(set.keys);
    folded_.emplace(configuration, keyCounts, forms.transposed && kFoldsGradients<T>);
    const ByteCount columns = sets * linalg::columnPanelsSize<T>(configuration.queryDim, mostKeys_);
    keyColumns_ = Buffer<T>(columns);
    valueColumns_ = Buffer<T>(columns);
  }
}

template <class T>
template <class Elements>
linalg::ColumnPanels<Elements> ProjectedContext<T>::columnsOf(Elements* elements, Index set) const {
  const Index channels = configuration_.queryDim;
  return linalg::columnPanels(elements + set * linalg::columnPanelsSize<T>(channels, mostKeys_),
                              channels, keyCount(set));
}

template <class T>
linalg::ColumnPanels<const T> ProjectedContext<T>::valueColumns(Index set, Index head) const {
  const Index headDim = configuration_.headDim();
  return columnsOf(valueColumns_.data(), set).depthRange(head * headDim, headDim);
}

template <class T>
const Index* ProjectedContext<T>::keyNumbers(Index set) const {
  return mask_ ? mask_->row(set).data() : nullptr;
}

template <class T>
ByteCount ProjectedContext<T>::rowsOffset(Index set, Index head) const {
  return at(set).offset + head * linalg::rowPanelsSize<T>(at(set).keys, configuration_.headDim());
}
template <class T>
ByteCount ProjectedContext<T>::transposedOffset(Index set, Index head) const {
  return at(set).transposedOffset +
         head * linalg::rowPanelsSize<T>(configuration_.headDim(), at(set).keys);
}

template <class T>
linalg::RowPanels<T> ProjectedContext<T>::rowsOf(const Buffer<T>& buffer, Index set,
                                                 Index head) const {
  return linalg::rowPanels(buffer.data() + rowsOffset(set, head), at(set).keys,
                           configuration_.headDim());
}
template <class T>
linalg::RowPanels<T> ProjectedContext<T>::transposedOf(const Buffer<T>& buffer, Index set,
                                                       Index head) const {
  return linalg::rowPanels(buffer.data() + transposedOffset(set, head), configuration_.headDim(),
                           at(set).keys);
}

template <class T>
linalg::MatrixView<const T> ProjectedContext<T>::contextRows(const Context<T>& context, Index set,
                                                             Index begin, Index count,
                                                             T* gathered) const {
  const linalg::MatrixView<const T> rows = context.rows(set);
  if (!mask_) return rows.rowRange(begin, count);
  const Index* numbers = keyNumbers(set) + begin;
  for (Index key = 0; key < count; ++key) {
    for (Index column = 0; column < rows.columns; ++column) {
      gathered[key * rows.columns + column] = *rows.at(numbers[key], column);
    }
  }
  return linalg::rowMajor<const T>(gathered, count, rows.columns);
}

template <class T>
ByteCount ProjectedContext<T>::projectScratchBytes(Index keys) const {
  return Scratch::bytesFor<T>(ByteCount{configuration_.headDim()} *
                              roundUp(keys, linalg::kTileColumns<T>));
}

template <class T>
void ProjectedContext<T>::project(const PackedWeights<T>& weights, Index set, Index head,
                                  bool isKey, Index begin,
                                  linalg::ColumnPanels<const T> contextPanels, Scratch& scratch) {
  const Index headDim = configuration_.headDim();
  const Index count = contextPanels.columns;
  const Index width = roundUp(count, linalg::kTileColumns<T>);
  const linalg::MatrixView<T> product =
      linalg::rowMajor(scratch.take<T>(ByteCount{headDim} * width), headDim, width);
  linalg::multiply<T>(
      weights.ofHead(isKey ? PackedWeight::kKeyOfHeads : PackedWeight::kValueOfHeads, head),
      contextPanels, product);
  if (isKey) {
    const T scale = static_cast<T>(configuration_.softmaxScale() * attention::kLog2E);
    std::for_each_n(product.data, headDim * width, [&](T& value) { value *= scale; });
  }
  const linalg::MatrixView<T> projected = product.columnRange(0, count);
  // `begin` is a multiple of the tile's rows: both packings continue where the block before them ended.
  const auto packRows = [&](Buffer<T>& buffer) {
    if (buffer.empty()) return;
    linalg::packRowsInto<T>(projected.transposed(), buffer.data() + rowsOffset(set, head),
                            rowsOf(buffer, set, head), begin, 0);
  };
  const auto packTransposed = [&](Buffer<T>& buffer) {
    if (buffer.empty()) return;
    linalg::packRowsInto<T>(projected, buffer.data() + transposedOffset(set, head),
                            transposedOf(buffer, set, head), 0, begin);
  };
  packRows(isKey ? keys_ : values_);
  packTransposed(isKey ? keysTransposed_ : valuesTransposed_);
  if (folded_) {
    const linalg::ColumnPanels<T> columns =
        columnsOf((isKey ? keyColumns_ : valueColumns_).data(), set)
            .depthRange(head * headDim, headDim);
    linalg::packColumns<T>(projected, columns);
  }
}

template <class T>
void ProjectedContext<T>::addStages(Schedule& schedule, const PackedWeights<T>& weights,
                                    const Context<T>& context) {
  const Index contextDim = configuration_.contextDim;
  const Index blockKeys = std::min(mostKeys_, kKeysAtATime);
  const ByteCount panelsSize = linalg::columnPanelsSize<T>(contextDim, blockKeys);
  for (Index begin = 0; begin < mostKeys_; begin += kKeysAtATime) {
    const auto countOf = [this, begin](Index set) {
      return std::clamp<Index>(keyCount(set) - begin, 0, kKeysAtATime);
    };
    schedule.add(sets(), mask_ ? Scratch::bytesFor<T>(ByteCount{blockKeys} * contextDim) : 0,
                 [=, this, &context](Index set, Scratch& scratch) {
                   T* gathered = mask_ ? scratch.take<T>(blockKeys * contextDim) : nullptr;
                   linalg::packColumns<T>(
                       contextRows(context, set, begin, countOf(set), gathered).transposed(),
                       contextPanels_.data() + set * panelsSize);
                 });
    schedule.add(sets() * configuration_.numHeads * 2, projectScratchBytes(blockKeys),
                 [=, this, &weights](Index task, Scratch& scratch) {
                   const Index set = task / (configuration_.numHeads * 2);
                   const Index head = task / 2 % configuration_.numHeads;
                   if (countOf(set) == 0) return;
                   project(weights, set, head, task % 2 == 0, begin,
                           contextPanels(set, countOf(set)), scratch);
                 });
  }
  if (folded_) addFoldingStage(schedule, weights);
  if (repeats_) return;
  schedule.add(1, 0, [this](Index, Scratch&) {
    if (!isRemembered()) contextPanels_ = Buffer<T>();
    keyColumns_ = Buffer<T>();
    if (!folded_ || !folded_->isTransposed()) valueColumns_ = Buffer<T>();
  });
}

template <class T>
void ProjectedContext<T>::addFoldingStage(Schedule& schedule, const PackedWeights<T>& weights) {
  std::vector<linalg::ColumnPanels<const T>> keyColumns, valueColumns;
  for (Index set = 0; set < sets(); ++set) {
    keyColumns.push_back(columnsOf(keyColumns_.data(), set));
    valueColumns.push_back(columnsOf(valueColumns_.data(), set));
  }
  folded_->addStage(schedule, weights, std::move(keyColumns), std::move(valueColumns));
}

template <class T>
void ProjectedContext<T>::remember(const Context<T>& context) {
  const ByteCount bytes = contextPanels_.size() * ByteCount{sizeof(T)};
  if (context.isInput || mostKeys_ > kKeysAtATime || bytes > kMostRememberedBytes) return;
  rememberedShape_ = context.tensor.shape();
}

template <class T>
linalg::ColumnPanels<const T> ProjectedContext<T>::contextPanels(Index set, Index count) const {
  const Index contextDim = configuration_.contextDim;
  const ByteCount setSize = linalg::columnPanelsSize<T>(contextDim, std::min(mostKeys_, kKeysAtATime));
  return linalg::columnPanels<const T>(contextPanels_.data() + set * setSize, contextDim, count);
}

template <class T>
bool ProjectedContext<T>::holdsContext(const Context<T>& context, Index set) const {
  // As integers: a NaN equals itself here, and -0 is not 0.
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  constexpr Index kColumns = linalg::kTileColumns<T>;
  const linalg::MatrixView<const T> rows = context.rows(set);
  const Index* numbers = keyNumbers(set);
  const linalg::ColumnPanels<const T> panels = contextPanels(set, keyCount(set));
  for (Index key = 0; key < panels.columns; ++key) {
    const T* value = rows.at(numbers == nullptr ? key : numbers[key], 0);
    const T* packed = panels.panel(key / kColumns) + key % kColumns;
    Bits difference = 0;
    for (Index channel = 0; channel < rows.columns; ++channel, packed += kColumns) {
      difference |= std::bit_cast<Bits>(*packed) ^ std::bit_cast<Bits>(value[channel]);
    }
    if (difference != 0) return false;
  }
  return true;
}

template <class T>
bool ProjectedContext<T>::matches(const Parameters<T>& parameters, const Context<T>& context,
                                  const KeyMask* mask, Forms forms) const {
  if (!rememberedShape_ || version_ != parameters.version()) return false;
  if (forms.transposed && values_.empty()) return false;
  if (forms.folded && !folded_) return false;
  if (context.isInput || *rememberedShape_ != context.tensor.shape()) return false;
  if ((mask != nullptr) != (mask_ != nullptr)) return false;
  if (mask != nullptr && mask->attended != mask_->attended) return false;
  for (Index set = 0; set < sets(); ++set) {
    if (!holdsContext(context, set)) return false;
  }
  return true;
}

template <class T>
std::size_t ProjectedContext<T>::bytes() const {
  Index elements =
      keys_.size() + values_.size() + keysTransposed_.size() + valuesTransposed_.size();
  elements += valueColumns_.size() + contextPanels_.size();
  return static_cast<std::size_t>(elements) * sizeof(T) + (folded_ ? folded_->bytes() : 0);
}

template class ProjectedContext<float>;
template class ProjectedContext<double>;

}  // namespace cross_attention::layer
