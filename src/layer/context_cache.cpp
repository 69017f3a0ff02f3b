#include "layer/context_cache.hpp"

#include <bit>
#include <type_traits>

#include "layer/projected_context.hpp"

namespace cross_attention::layer {

namespace {

/// Compares the attended rows of one key/value batch with the saved copy, bit by bit.
template <class T>
bool hasRows(const ProjectedContext<T>& projected, const Context<T>& context, Index kvBatch) {
  // Compared as integers: a NaN equals itself, and -0 differs from 0.
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  constexpr Index kColumns = linalg::kTileColumns<T>;
  const linalg::MatrixView<const T> rows = context.rows(kvBatch);
  const Index* indices = projected.keyIndices(kvBatch);
  const linalg::ColumnPanels<const T> panels = projected.contextPanels(kvBatch, projected.keyCount(kvBatch));
  for (Index key = 0; key < panels.columns; ++key) {
    const T* value = rows.at(indices == nullptr ? key : indices[key], 0);
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
bool matches(const ProjectedContext<T>& projected, const Parameters<T>& parameters,
             const Arguments<T>& arguments, const ContextForms& forms) {
  const Context<T>& context = arguments.context;
  const KeyMask* mask = arguments.mask.keys.get();
  if (projected.parametersVersion() != parameters.version() || !projected.hasForms(forms)) return false;
  if (context.isInput || *projected.cachedShape() != context.tensor.shape()) return false;
  if ((mask != nullptr) != (projected.mask() != nullptr)) return false;
  if (mask != nullptr && mask->attended != projected.mask()->attended) return false;
  for (Index kvBatch = 0; kvBatch < projected.kvBatches(); ++kvBatch) {
    if (!hasRows(projected, context, kvBatch)) return false;
    // An additive mask may hide rows that are not finite, and another may not: see contextRows.
    if (arguments.mask.additive && !isFinite(context.rows(kvBatch))) return false;
  }
  return true;
}

}  // namespace

template <class T>
std::shared_ptr<const ProjectedContext<T>> ContextCache<T>::find(const Parameters<T>& parameters,
                                                                 const Arguments<T>& arguments,
                                                                 const ContextForms& forms) const {
  if (!projected_ || !matches(*projected_, parameters, arguments, forms)) return nullptr;
  return projected_;
}

template <class T>
void ContextCache<T>::store(const std::shared_ptr<const ProjectedContext<T>>& projected) {
  projected_ = projected->cachedShape() ? projected : nullptr;
}

template <class T>
std::size_t ContextCache<T>::bytes() const {
  return projected_ ? projected_->bytes() : 0;
}

template class ContextCache<float>;
template class ContextCache<double>;

}  // namespace cross_attention::layer
