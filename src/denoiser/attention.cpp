#include "denoiser/attention.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "operators/add.hpp"

namespace cross_attention::denoiser {

using layer::DiffusionCrossAttention;
using layer::ParameterLayout;
using operators::addTo;
using operators::Initial;

namespace {

Initial initialOf(const Shape& shape) {
  return shape.rank() == 2 ? Initial::xavier(shape[1], shape[0]) : Initial::zero();
}

layer::Configuration layerConfiguration(Index queryDim, Index contextDim, Index numHeads) {
  layer::Configuration configuration;
  configuration.queryDim = queryDim;
  configuration.contextDim = contextDim;
  configuration.numHeads = numHeads;
  return configuration;
}

}  // namespace

template <class T>
Attention<T>::Attention(ParameterSet<T>& parameters, const std::string& name, Index queryDim,
                        Index contextDim, Index numHeads)
    : name_(name),
      set_(parameters),
      configuration_(layerConfiguration(queryDim, contextDim, numHeads)),
      layer_(configuration_) {
  const ParameterLayout layout(configuration_);
  for (const layer::ParameterId id : layout.ids()) {
    const Shape& shape = layout.shape(id);
    parameters_.push_back(&parameters.add(name + "." + std::string(nameOf(id)), shape, initialOf(shape)));
  }
}

template <class T>
std::vector<T> Attention<T>::updatedValues() const {
  std::vector<T> values;
  values.reserve(static_cast<std::size_t>(layer_.parameters().size()));
  for (std::size_t index = 0; index < parameters_.size(); ++index) {
    const Buffer<T>& own = parameters_[index]->values;
    const std::size_t offset = values.size();
    values.insert(values.end(), own.begin(), own.end());
    if (updates_ != nullptr && index < kWeights) {
      (*updates_)[index].addTo(values.data() + offset);
    }
  }
  return values;
}

template <class T>
DiffusionCrossAttention<T>& Attention<T>::layer() {
  if (version_ != set_.version()) {
    layer_.setParameters(std::span<const T>(updatedValues()));
    version_ = set_.version();
  }
  return layer_;
}

template <class T>
void Attention<T>::setUpdates(const Updates* updates) {
  updates_ = updates;
  version_ = 0;
  maskedVersion_ = 0;
}

template <class T>
Tensor<T> Attention<T>::forward(const Tensor<T>& tokens, const Tensor<T>* context, const Mask<T>& mask,
                                bool keep) {
  layer().setTraining(keep);
  return layer_.forward(tokens, context, mask);
}

template <class T>
Tensor<T> Attention<T>::backward(const Tensor<T>& outputGradient, Tensor<T>* contextGradient) {
  Tensor<T> gradient = layer_.backward(outputGradient);
  if (contextGradient != nullptr) addTo(*contextGradient, *layer_.contextGradient());
  if (needsGradients()) addGradients();
  layer_.clearGradients();
  return gradient;
}

template <class T>
bool Attention<T>::needsGradients() const {
  return updates_ != nullptr || std::any_of(parameters_.begin(), parameters_.end(),
                                            [](const auto* each) { return each->trainable; });
}

template <class T>
void Attention<T>::addGradients() {
  const T* slope = layer_.parameters().gradients().data();
  for (std::size_t index = 0; index < parameters_.size(); ++index) {
    Parameter<T>& parameter = *parameters_[index];
    const Index size = parameter.shape.size();
    if (parameter.trainable) {
      std::transform(slope, slope + size, parameter.gradient.begin(), parameter.gradient.begin(),
                     std::plus<T>());
    }
    if (updates_ != nullptr && index < kWeights) (*updates_)[index].addGradients(slope);
    slope += size;
  }
}

template <class T>
Tensor<T> Attention<T>::probabilities(const Tensor<T>& tokens, const Tensor<T>* context,
                                      const Mask<T>& mask) {
  // [batch, heads, L, N]: a map a key.
  const Tensor<T> maps = layer().attentionMaps(tokens, context, mask, MapHeads::kAll);
  const Shape& shape = maps.shape();
  const Index keys = shape[2];
  const Index queries = shape[3];
  Tensor<T> result(Shape{shape[0], shape[1], queries, keys});
  for (Index pair = 0; pair < shape[0] * shape[1]; ++pair) {
    const T* from = maps.data() + pair * keys * queries;
    T* to = result.data() + pair * keys * queries;
    for (Index query = 0; query < queries; ++query) {
      for (Index key = 0; key < keys; ++key) to[query * keys + key] = from[key * queries + query];
    }
  }
  return result;
}

template <class T>
Tensor<T> Attention<T>::forwardWith(const Tensor<T>& probabilities, const Tensor<T>& tokens,
                                    const Tensor<T>* context) {
  if (maskedLayer_ == nullptr) {
    layer::Configuration configuration = configuration_;
    configuration.scale = 0;
    maskedLayer_ = std::make_unique<DiffusionCrossAttention<T>>(configuration);
  }
  if (maskedVersion_ != set_.version()) {
    maskedLayer_->setParameters(layer().parameters().values());
    maskedVersion_ = set_.version();
  }
  // softmax(0·scores + log P) = P
  Tensor<T> logarithms(probabilities.shape());
  std::transform(probabilities.begin(), probabilities.end(), logarithms.begin(), [](T probability) {
    return probability > 0 ? std::log(probability) : -std::numeric_limits<T>::infinity();
  });
  return maskedLayer_->forward(tokens, context, Mask<T>::from(logarithms));
}

template class Attention<float>;
template class Attention<double>;

}  // namespace cross_attention::denoiser
