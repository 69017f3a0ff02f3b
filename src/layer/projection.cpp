#include "layer/projection.hpp"

namespace cross_attention::layer {

namespace {

template <class T>
attention::HeadNorm<T> normOf(const Configuration& configuration, const Parameters<T>& parameters,
                              ParameterId weight, ParameterId bias) {
  return {.isCentered = configuration.queryKeyNorm == QueryKeyNorm::kLayerNorm,
          .epsilon = static_cast<T>(configuration.normEpsilon),
          .weight = parameters.find(weight),
          .bias = parameters.find(bias)};
}

}  // namespace

template <class T>
Projection<T> Projection<T>::ofQuery(const Configuration& configuration, const Parameters<T>& parameters) {
  return {parameters.find(ParameterId::kQueryBias),
          normOf(configuration, parameters, ParameterId::kQueryNorm, ParameterId::kQueryNormBias)};
}

template <class T>
Projection<T> Projection<T>::ofKey(const Configuration& configuration, const Parameters<T>& parameters) {
  return {parameters.find(ParameterId::kKeyBias),
          normOf(configuration, parameters, ParameterId::kKeyNorm, ParameterId::kKeyNormBias)};
}

template <class T>
Projection<T> Projection<T>::ofValue(const Parameters<T>& parameters) {
  return {parameters.find(ParameterId::kValueBias), {}};
}

template <class T>
void normalizeQuery(const Projection<T>& projection, Index headDim, linalg::ColumnPanels<T> query) {
  if (!projection.norm.exists()) return;
  for (Index channel = 0; channel < query.depth; channel += headDim) {
    const linalg::ColumnPanels<T> head = query.depthRange(channel, headDim);
    for (Index panel = 0; panel < query.panels(); ++panel) {
      attention::normalizeHead<T>(projection.norm, attention::panelMatrix(head, panel));
    }
  }
}

#define CROSS_ATTENTION_INSTANTIATE(T) \
  template struct Projection<T>;       \
  template void normalizeQuery(const Projection<T>&, Index, linalg::ColumnPanels<T>);
CROSS_ATTENTION_INSTANTIATE(float)
CROSS_ATTENTION_INSTANTIATE(double)
#undef CROSS_ATTENTION_INSTANTIATE

}  // namespace cross_attention::layer
