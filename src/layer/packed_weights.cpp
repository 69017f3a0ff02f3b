#include "layer/packed_weights.hpp"

namespace cross_attention::layer {

namespace {

template <class T>
linalg::MatrixView<const T> weight(const Parameters<T>& parameters, ParameterId id) {
  const Shape shape = parameters.shape(id);
  return linalg::rowMajor(parameters.values(id).data(), shape[0], shape[1]);
}

}  // namespace

template <class T>
PackedWeights<T>::PackedWeights(const Configuration& configuration, const Parameters<T>& parameters)
    : version(parameters.version()),
      memory(2 * linalg::rowPanelsSize<T>(configuration.queryDim, configuration.queryDim)),
      query(linalg::packRows(weight(parameters, ParameterId::kQuery), memory.data())),
      output(linalg::packRows(weight(parameters, ParameterId::kOutput),
                              memory.data() + memory.size() / 2)) {}

template <class T>
PackedTransposedWeights<T>::PackedTransposedWeights(const Configuration& configuration,
                                                    const Parameters<T>& parameters)
    : memory(2 * linalg::rowPanelsSize<T>(configuration.queryDim, configuration.queryDim)),
      query(linalg::packRows(weight(parameters, ParameterId::kQuery).transposed(), memory.data())),
      output(linalg::packRows(weight(parameters, ParameterId::kOutput).transposed(),
                              memory.data() + memory.size() / 2)) {}

template struct PackedWeights<float>;
template struct PackedWeights<double>;
template struct PackedTransposedWeights<float>;
template struct PackedTransposedWeights<double>;

}  // namespace cross_attention::layer
