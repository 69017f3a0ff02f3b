#pragma once

#include <deque>
#include <string>

#include "core/buffer.hpp"
#include "core/random.hpp"
#include "core/shape.hpp"

namespace cross_attention::operators {

/// A trainable parameter: values, and the gradient that backward passes add to.
template <class T>
struct Parameter {
  /// Name in weight files.
  std::string name;
  Shape shape;
  Buffer<T> values;
  Buffer<T> gradient;
  /// False: backward passes do not compute its gradient.
  bool trainable = true;
};

/// The initialization of a parameter.
struct Initial {
  enum class Kind { kZero, kUniform, kNormal };
  Kind kind = Kind::kZero;
  /// Uniform: limits ±amount. Normal: standard deviation.
  double amount = 0;

  static Initial zero() { return {}; }
  static Initial normal(double deviation) { return {Kind::kNormal, deviation}; }
  /// Uniform by Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
  /// networks" (2010).
  static Initial xavier(Index inFeatures, Index outFeatures);
};

/// The parameters of a model, in the order of their creation. References stay valid.
template <class T>
class ParameterSet {
 public:
  explicit ParameterSet(std::uint64_t seed) : random_(seed) {}

  /// Allocates a parameter with a zero gradient and initializes its values from the set's random numbers.
  Parameter<T>& add(std::string name, Shape shape, Initial initial);

  auto begin() { return parameters_.begin(); }
  auto end() { return parameters_.end(); }
  auto begin() const { return parameters_.begin(); }
  auto end() const { return parameters_.end(); }
  /// Returns the number of values of all parameters.
  Index size() const;
  /// Returns the parameter of that name, or null.
  Parameter<T>* find(const std::string& name);

  void clearGradients();
  void setTrainable(bool trainable);

  /// A counter that increases when values change. Code that writes values must call touch().
  std::uint64_t version() const { return version_; }
  void touch() { ++version_; }

 private:
  std::deque<Parameter<T>> parameters_;
  Random random_;
  std::uint64_t version_ = 1;
};

}  // namespace cross_attention::operators
