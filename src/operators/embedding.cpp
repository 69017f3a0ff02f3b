#include "operators/embedding.hpp"

#include "operators/rows.hpp"

namespace cross_attention::operators {

template <class T>
Embedding<T>::Embedding(ParameterSet<T>& parameters, const std::string& name, Index entries, Index maxTokens,
                        Index features)
    : table_(parameters.add(name + ".weight", {entries, features}, Initial::normal(0.5))),
      positions_(parameters.add(name + ".positions", {maxTokens, features}, Initial::normal(0.2))) {}

template <class T>
Tensor<T> Embedding<T>::forward(std::span<const std::int32_t> ids, Index tokens, bool saveForBackward) {
  const Index features = table_.shape[1];
  const Index rows = static_cast<Index>(ids.size());
  Tensor<T> output(Shape{rows / tokens, tokens, features});
  for (Index row = 0; row < rows; ++row) {
    const T* entry = table_.values.data() + ids[static_cast<std::size_t>(row)] * features;
    const T* position = positions_.values.data() + row % tokens * features;
    T* destination = output.data() + row * features;
    for (Index i = 0; i < features; ++i) destination[i] = entry[i] + position[i];
  }
  ids_.clear();
  if (saveForBackward) ids_.assign(ids.begin(), ids.end());
  return output;
}

template <class T>
void Embedding<T>::backward(const Tensor<T>& outputGradient) {
  const Index features = table_.shape[1];
  const Index tokens = outputGradient.shape()[1];
  for (Index row = 0; row < static_cast<Index>(ids_.size()); ++row) {
    const T* dy = outputGradient.data() + row * features;
    T* entry = table_.gradient.data() + ids_[static_cast<std::size_t>(row)] * features;
    T* position = positions_.gradient.data() + row % tokens * features;
    for (Index i = 0; table_.trainable && i < features; ++i) entry[i] += dy[i];
    for (Index i = 0; positions_.trainable && i < features; ++i) position[i] += dy[i];
  }
}

template <class T>
void Embedding<T>::addEntry(Index model) {
  const Index entries = table_.shape[0];
  const Index features = table_.shape[1];
  Buffer<T> values((entries + 1) * features);
  Buffer<T> gradient((entries + 1) * features);
  std::copy(table_.values.begin(), table_.values.end(), values.begin());
  std::copy(table_.values.data() + model * features, table_.values.data() + (model + 1) * features,
            values.data() + entries * features);
  gradient.clear();
  table_.values = std::move(values);
  table_.gradient = std::move(gradient);
  table_.shape = Shape{entries + 1, features};
}

template class Embedding<float>;
template class Embedding<double>;

}  // namespace cross_attention::operators
