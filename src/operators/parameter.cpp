#include "operators/parameter.hpp"

#include <cmath>

namespace cross_attention::operators {

Initial Initial::xavier(Index inFeatures, Index outFeatures) {
  return {Kind::kUniform, std::sqrt(6.0 / static_cast<double>(inFeatures + outFeatures))};
}

template <class T>
Parameter<T>& ParameterSet<T>::add(std::string name, Shape shape, Initial initial) {
  // Checked because the configuration of a file may imply too many elements.
  shape = Shape::checked({shape.begin(), shape.end()}, name.c_str());
  Parameter<T> parameter{std::move(name), shape, Buffer<T>(shape.size()), Buffer<T>(shape.size())};
  parameter.gradient.clear();
  for (T& value : parameter.values) {
    switch (initial.kind) {
      case Initial::Kind::kZero:
        value = T(0);
        break;
      case Initial::Kind::kUniform:
        value = static_cast<T>(initial.amount * (2 * random_.uniform() - 1));
        break;
      case Initial::Kind::kNormal:
        value = static_cast<T>(initial.amount * random_.normal());
        break;
    }
  }
  parameters_.push_back(std::move(parameter));
  return parameters_.back();
}

template <class T>
Index ParameterSet<T>::size() const {
  Index size = 0;
  for (const Parameter<T>& parameter : parameters_) size += parameter.shape.size();
  return size;
}

template <class T>
Parameter<T>* ParameterSet<T>::find(const std::string& name) {
  for (Parameter<T>& parameter : parameters_) {
    if (parameter.name == name) return &parameter;
  }
  return nullptr;
}

template <class T>
void ParameterSet<T>::clearGradients() {
  for (Parameter<T>& parameter : parameters_) parameter.gradient.clear();
}

template <class T>
void ParameterSet<T>::setTrainable(bool trainable) {
  for (Parameter<T>& parameter : parameters_) parameter.trainable = trainable;
}

template class ParameterSet<float>;
template class ParameterSet<double>;

}  // namespace cross_attention::operators
