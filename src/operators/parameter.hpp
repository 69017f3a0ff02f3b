#pragma once

#include <deque>
#include <string>

#include "core/buffer.hpp"
#include "core/random.hpp"
#include "core/shape.hpp"

namespace cross_attention::operators {

/// Something that training changes: values and the gradient that backward passes add to.
template <class T>
struct Parameter {
  std::string name;  ///< in a file of weights
  Shape shape;
  Buffer<T> values;
  Buffer<T> gradient;
  /// Whether backward passes compute the gradient at all.
  bool trainable = true;
};

/// How the values of a new parameter are drawn.
struct Initial {
  enum class Kind { kZero, kUniform, kNormal };
  Kind kind = Kind::kZero;
  double amount = 0;  ///< uniform: within ±amount; normal: the standard deviation

  static Initial zero() { return {}; }
  static Initial normal(double deviation) { return {Kind::kNormal, deviation}; }
  /// Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks" (2010).
  static Initial xavier(Index inFeatures, Index outFeatures);
};

/// The parameters of a model, in the order in which its parts have added them. References stay good.
template <class T>
class ParameterSet {
 public:
  explicit ParameterSet(std::uint64_t seed) : random_(seed) {}

  /// Memory for the values and a zero gradient; the values are drawn from the set's random numbers.
  Parameter<T>& add(std::string name, Shape shape, Initial initial);

  auto begin() { return parameters_.begin(); }
  auto end() { return parameters_.end(); }
  auto begin() const { return parameters_.begin(); }
  auto end() const { return parameters_.end(); }
  /// Values in all of them.
  Index size() const;
  /// Null where there is none of that name.
  Parameter<T>* find(const std::string& name);

  void clearGradients();
  void setTrainable(bool trainable);

  /// Counts the changes of the values: whoever writes them calls touch().
  std::uint64_t version() const { return version_; }
  void touch() { ++version_; }

 private:
  std::deque<Parameter<T>> parameters_;
  Random random_;
  std::uint64_t version_ = 1;
};

}  // namespace cross_attention::operators
