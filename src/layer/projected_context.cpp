#include "layer/projected_context.hpp"

#include <algorithm>
#include <utility>

#include "attention/scores.hpp"
#include "layer/projection.hpp"
#include "linalg/multiply.hpp"

namespace cross_attention::layer {

namespace {

/// Keys projected at a time: a multiple of every tile size, so that each block fills whole panels.
constexpr Index kKeysPerBlock = 480;
static_assert(kKeysPerBlock % linalg::kTileRows<float> == 0);

/// No copy of a larger context is saved: it would cost more memory than the keys and values.
constexpr ByteCount kMaxCachedBytes = ByteCount{2} * 1024 * 1024;

}  // namespace

template <class T>
ProjectedContext<T>::ProjectedContext(const Configuration& configuration, const Parameters<T>& parameters,
                                      const Arguments<T>& arguments, const ContextForms& forms)
    : configuration_(configuration),
      version_(parameters.version()),
      mask_(arguments.mask.keys),
      repeats_(forms.repeats) {
  const Context<T>& context = arguments.context;
  const Index headDim = configuration.headDim();
  const Index masks = mask_ ? mask_->batch : 1;
  // 0 for an empty batch, whose context may be empty, too.
  const Index kvBatches =
      std::min(context.layout.batch, masks) == 0 ? 0 : std::max(context.layout.batch, masks);
  ByteCount size = 0;
  ByteCount transposedSize = 0;
  for (Index kvBatch = 0; kvBatch < kvBatches; ++kvBatch) {
    const Index keys = mask_ ? static_cast<Index>(mask_->row(kvBatch).size()) : context.layout.tokens;
    kvBatches_.push_back({keys, size, transposedSize});
    maxKeys_ = std::max(maxKeys_, keys);
    size += configuration.numHeads * linalg::rowPanelsSize<T>(keys, headDim);
    transposedSize += configuration.numHeads * linalg::rowPanelsSize<T>(headDim, keys);
  }
  keys_ = Buffer<T>(size);
  valuesTransposed_ = Buffer<T>(transposedSize);
  if (forms.transposed) {
    values_ = Buffer<T>(size);
    keysTransposed_ = Buffer<T>(transposedSize);
  }
  contextPanels_ = Buffer<T>(
      kvBatches * linalg::columnPanelsSize<T>(configuration.contextDim, std::min(maxKeys_, kKeysPerBlock)));
  const ByteCount copyBytes = contextPanels_.size() * ByteCount{sizeof(T)};
  if (forms.cacheable && !context.isInput && maxKeys_ <= kKeysPerBlock && copyBytes <= kMaxCachedBytes) {
    cachedShape_ = context.tensor.shape();
  }
  if (forms.folded) {
    std::vector<Index> keyCounts;
    for (const KvBatch& kvBatch : kvBatches_) keyCounts.push_back(kvBatch.keys);
    folded_.emplace(configuration, keyCounts, forms.transposed && foldsGradients<T>(configuration));
    const ByteCount columns = kvBatches * linalg::columnPanelsSize<T>(configuration.innerDim(), maxKeys_);
    keyColumns_ = Buffer<T>(columns);
    valueColumns_ = Buffer<T>(columns);
  }
}

template <class T>
template <class Elements>
linalg::ColumnPanels<Elements> ProjectedContext<T>::columnsOf(Elements* elements, Index kvBatch) const {
  const Index channels = configuration_.innerDim();
  return linalg::columnPanels(elements + kvBatch * linalg::columnPanelsSize<T>(channels, maxKeys_), channels,
                              keyCount(kvBatch));
}

template <class T>
linalg::ColumnPanels<const T> ProjectedContext<T>::valueColumns(Index kvBatch, Index head) const {
  const Index headDim = configuration_.headDim();
  return columnsOf(valueColumns_.data(), kvBatch).depthRange(head * headDim, headDim);
}

template <class T>
const Index* ProjectedContext<T>::keyIndices(Index kvBatch) const {
  return mask_ ? mask_->row(kvBatch).data() : nullptr;
}

template <class T>
ByteCount ProjectedContext<T>::rowsOffset(Index kvBatch, Index head) const {
  return at(kvBatch).offset + head * linalg::rowPanelsSize<T>(at(kvBatch).keys, configuration_.headDim());
}
template <class T>
ByteCount ProjectedContext<T>::transposedOffset(Index kvBatch, Index head) const {
  return at(kvBatch).transposedOffset +
         head * linalg::rowPanelsSize<T>(configuration_.headDim(), at(kvBatch).keys);
}

template <class T>
linalg::RowPanels<T> ProjectedContext<T>::rowsOf(const Buffer<T>& buffer, Index kvBatch, Index head) const {
  return linalg::rowPanels(buffer.data() + rowsOffset(kvBatch, head), at(kvBatch).keys,
                           configuration_.headDim());
}
template <class T>
linalg::RowPanels<T> ProjectedContext<T>::transposedOf(const Buffer<T>& buffer, Index kvBatch,
                                                       Index head) const {
  return linalg::rowPanels(buffer.data() + transposedOffset(kvBatch, head), configuration_.headDim(),
                           at(kvBatch).keys);
}

template <class T>
linalg::MatrixView<const T> ProjectedContext<T>::contextRows(const Arguments<T>& arguments, Index kvBatch,
                                                             Index begin, Index count, T* gathered) const {
  const linalg::MatrixView<const T> rows = arguments.context.rows(kvBatch);
  const linalg::MatrixView<const T> range = rows.rowRange(begin, count);
  if (!mask_ && (!arguments.mask.additive || isFinite(range))) return range;
  for (Index key = 0; key < count; ++key) {
    const Index row = mask_ ? keyIndices(kvBatch)[begin + key] : begin + key;
    const bool isHidden =
        !mask_ && !isFinite(rows.rowRange(row, 1)) && arguments.hidesKey(kvBatch, kvBatches() == 1, row);
    for (Index column = 0; column < rows.columns; ++column) {
      gathered[key * rows.columns + column] = isHidden ? T(0) : *rows.at(row, column);
    }
  }
  return linalg::rowMajor<const T>(gathered, count, rows.columns);
}

template <class T>
ByteCount ProjectedContext<T>::gatheredBytes(const Arguments<T>& arguments, Index count) const {
  if (!mask_ && !arguments.mask.additive) return 0;
  return Scratch::bytesFor<T>(ByteCount{count} * configuration_.contextDim);
}

template <class T>
ByteCount ProjectedContext<T>::projectScratchBytes(Index keys) const {
  return Scratch::bytesFor<T>(ByteCount{configuration_.headDim()} * roundUp(keys, linalg::kTileColumns<T>));
}

template <class T>
void ProjectedContext<T>::project(const PackedWeights<T>& weights, Index kvBatch, Index head, bool isKey,
                                  Index begin, linalg::ColumnPanels<const T> contextPanels,
                                  Scratch& scratch) {
  const Index headDim = configuration_.headDim();
  const Index count = contextPanels.columns;
  const Index width = roundUp(count, linalg::kTileColumns<T>);
  const linalg::MatrixView<T> product =
      linalg::rowMajor(scratch.take<T>(ByteCount{headDim} * width), headDim, width);
  const Parameters<T>& parameters = weights.parameters();
  const Projection<T> projection =
      isKey ? Projection<T>::ofKey(configuration_, parameters) : Projection<T>::ofValue(parameters);
  linalg::multiply<T>(weights.ofHead(isKey ? PackedWeight::kKeyPerHead : PackedWeight::kValuePerHead, head),
                      contextPanels, product, projection.start(), projection.biasFrom(head * headDim));
  if (isKey) {
    if (projection.norm.exists()) attention::normalizeHead<T>(projection.norm, product);
    const T scale = static_cast<T>(configuration_.softmaxScale() * attention::kLog2E);
    std::for_each_n(product.data, headDim * width, [&](T& value) { value *= scale; });
  }
  const linalg::MatrixView<T> projected = product.columnRange(0, count);
  // `begin` is a multiple of the tile's rows: both packings continue at the end of the previous block.
  const auto packRows = [&](Buffer<T>& buffer) {
    if (buffer.empty()) return;
    linalg::packRowsInto<T>(projected.transposed(), buffer.data() + rowsOffset(kvBatch, head),
                            rowsOf(buffer, kvBatch, head), begin, 0);
  };
  const auto packTransposed = [&](Buffer<T>& buffer) {
    if (buffer.empty()) return;
    linalg::packRowsInto<T>(projected, buffer.data() + transposedOffset(kvBatch, head),
                            transposedOf(buffer, kvBatch, head), 0, begin);
  };
  packRows(isKey ? keys_ : values_);
  packTransposed(isKey ? keysTransposed_ : valuesTransposed_);
  if (folded_) {
    const linalg::ColumnPanels<T> columns =
        columnsOf((isKey ? keyColumns_ : valueColumns_).data(), kvBatch).depthRange(head * headDim, headDim);
    linalg::packColumns<T>(projected, columns);
  }
}

template <class T>
void ProjectedContext<T>::addStages(Schedule& schedule, const PackedWeights<T>& weights,
                                    const Arguments<T>& arguments) {
  const Index contextDim = configuration_.contextDim;
  const Index blockKeys = std::min(maxKeys_, kKeysPerBlock);
  const ByteCount panelsSize = linalg::columnPanelsSize<T>(contextDim, blockKeys);
  for (Index begin = 0; begin < maxKeys_; begin += kKeysPerBlock) {
    const auto countOf = [this, begin](Index kvBatch) {
      return std::clamp<Index>(keyCount(kvBatch) - begin, 0, kKeysPerBlock);
    };
    const ByteCount gatheredBytes = this->gatheredBytes(arguments, blockKeys);
    schedule.add(kvBatches(), gatheredBytes, [=, this, &arguments](Index kvBatch, Scratch& scratch) {
      T* gathered = gatheredBytes > 0 ? scratch.take<T>(blockKeys * contextDim) : nullptr;
      linalg::packColumns<T>(contextRows(arguments, kvBatch, begin, countOf(kvBatch), gathered).transposed(),
                             contextPanels_.data() + kvBatch * panelsSize);
    });
    schedule.add(kvBatches() * configuration_.numHeads * 2, projectScratchBytes(blockKeys),
                 [=, this, &weights](Index task, Scratch& scratch) {
                   const Index kvBatch = task / (configuration_.numHeads * 2);
                   const Index head = task / 2 % configuration_.numHeads;
                   if (countOf(kvBatch) == 0) return;
                   project(weights, kvBatch, head, task % 2 == 0, begin,
                           contextPanels(kvBatch, countOf(kvBatch)), scratch);
                 });
  }
  if (folded_) addFoldingStage(schedule, weights);
  if (repeats_) return;
  schedule.add(1, 0, [this](Index, Scratch&) {
    if (!cachedShape_) contextPanels_ = Buffer<T>();
    keyColumns_ = Buffer<T>();
    if (!folded_ || !folded_->isTransposed()) valueColumns_ = Buffer<T>();
  });
}

template <class T>
void ProjectedContext<T>::addFoldingStage(Schedule& schedule, const PackedWeights<T>& weights) {
  std::vector<linalg::ColumnPanels<const T>> keyColumns, valueColumns;
  for (Index kvBatch = 0; kvBatch < kvBatches(); ++kvBatch) {
    keyColumns.push_back(columnsOf(keyColumns_.data(), kvBatch));
    valueColumns.push_back(columnsOf(valueColumns_.data(), kvBatch));
  }
  folded_->addStage(schedule, weights, std::move(keyColumns), std::move(valueColumns));
}

template <class T>
linalg::ColumnPanels<const T> ProjectedContext<T>::contextPanels(Index kvBatch, Index count) const {
  const Index contextDim = configuration_.contextDim;
  const ByteCount batchSize = linalg::columnPanelsSize<T>(contextDim, std::min(maxKeys_, kKeysPerBlock));
  return linalg::columnPanels<const T>(contextPanels_.data() + kvBatch * batchSize, contextDim, count);
}

template <class T>
bool ProjectedContext<T>::hasForms(const ContextForms& forms) const {
  return (!forms.transposed || !values_.empty()) && (!forms.folded || folded_);
}

template <class T>
std::size_t ProjectedContext<T>::bytes() const {
  Index elements = keys_.size() + values_.size() + keysTransposed_.size() + valuesTransposed_.size();
  elements += valueColumns_.size() + contextPanels_.size();
  return static_cast<std::size_t>(elements) * sizeof(T) + (folded_ ? folded_->bytes() : 0);
}

template class ProjectedContext<float>;
template class ProjectedContext<double>;

}  // namespace cross_attention::layer
