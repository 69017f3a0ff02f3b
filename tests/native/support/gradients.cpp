#include "support/gradients.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "support/comparison.hpp"

namespace cross_attention::test {

double allowedGradientError(double relative, const std::vector<double>& expected) {
  return relative * std::max(largestMagnitude(expected), 1e-2);
}

double gradientTolerance(const ReferenceLayer& reference, double epsilon) {
  const double terms = static_cast<double>(reference.queryDim + reference.contextDim +
                                           reference.length + reference.batch * reference.tokens);
  return 16 * epsilon * std::sqrt(terms) * (1 + reference.largestScore());
}

template <class T>
double expectGradientsMatchReference(LayerCase<T>& one, double relative) {
  const CaseShape& shape = one.shape;
  SCOPED_TRACE(shape.describe());
  const Tensor<T> inputGradient = one.forwardAndBackward();
  const ReferenceLayer::Gradients expected =
      one.reference().gradients(one.rows(one.outputGradient));
  EXPECT_EQ(inputGradient.shape(), shape.inputShape());
  double worst = 0;
  const auto check = [&](const std::string& name, const auto& actual,
                         const std::vector<double>& wanted) {
    const double allowed = allowedGradientError(relative, wanted);
    EXPECT_TRUE(isNear(actual, wanted, allowed)) << name;
    worst = std::max(worst, largestDifference(actual, wanted) / allowed);
  };
  check("input", one.rows(inputGradient), expected.input);
  EXPECT_EQ(one.layer.contextGradient().has_value(), shape.context.has_value());
  if (shape.context && one.layer.contextGradient()) {
    EXPECT_EQ(one.layer.contextGradient()->shape(), *shape.context);
    check("context", *one.layer.contextGradient(), expected.context);
  }
  const std::array<const std::vector<double>*, 5> parameters = {
      &expected.queryWeight, &expected.keyWeight, &expected.valueWeight, &expected.outputWeight,
      &expected.outputBias};
  std::size_t begin = 0;
  const std::vector<T> all = one.parameterGradients();
  // Each of the five by itself: one parameter's large gradient must not hide another's error.
  for (std::size_t id = 0; id < parameters.size(); ++id) {
    const std::size_t size = parameters[id]->size();
    check(std::string(layer::kParameterNames[id]),
          std::vector<T>(all.begin() + static_cast<Index>(begin),
                         all.begin() + static_cast<Index>(begin + size)),
          *parameters[id]);
    begin += size;
  }
  EXPECT_EQ(begin, all.size());
  return worst;
}

template double expectGradientsMatchReference(LayerCase<float>&, double);
template double expectGradientsMatchReference(LayerCase<double>&, double);

}  // namespace cross_attention::test
