#include "support/gradients.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "support/comparison.hpp"

namespace cross_attention::test {

double allowedGradientError(double relative, const std::vector<double>& expected) {
  return relative * std::max(largestMagnitude(expected), 1e-2);
}

double gradientTolerance(const ReferenceLayer& reference, double epsilon) {
  const double terms = static_cast<double>(reference.queryDim + reference.contextDim + reference.length +
                                           reference.batch * reference.tokens);
  return 16 * epsilon * std::sqrt(terms) * (1 + reference.largestScore());
}

template <class T>
double expectGradientsMatchReference(LayerCase<T>& layerCase, double relative) {
  const CaseShape& shape = layerCase.shape;
  SCOPED_TRACE(shape.describe());
  const Tensor<T> inputGradient = layerCase.forwardAndBackward();
  const ReferenceLayer::Gradients reference =
      layerCase.reference().gradients(layerCase.rows(layerCase.outputGradient));
  EXPECT_EQ(inputGradient.shape(), shape.inputShape());
  double worst = 0;
  const auto check = [&](const std::string& name, const auto& actual, const std::vector<double>& expected) {
    const double allowed = allowedGradientError(relative, expected);
    EXPECT_TRUE(isNear(actual, expected, allowed)) << name;
    worst = std::max(worst, largestDifference(actual, expected) / allowed);
  };
  check("input", layerCase.rows(inputGradient), reference.input);
  EXPECT_EQ(layerCase.layer.contextGradient().has_value(), shape.context.has_value());
  if (shape.context && layerCase.layer.contextGradient()) {
    EXPECT_EQ(layerCase.layer.contextGradient()->shape(), *shape.context);
    check("context", *layerCase.layer.contextGradient(), reference.context);
  }
  std::size_t begin = 0;
  const std::vector<T> all = layerCase.parameterGradients();
  // Each parameter is checked separately: a large gradient of one must not hide an error of another.
  for (std::size_t id = 0; id < layer::kParameterNames.size(); ++id) {
    const std::size_t size = reference.parameters[id].size();
    check(std::string(layer::kParameterNames[id]),
          std::vector<T>(all.begin() + static_cast<Index>(begin),
                         all.begin() + static_cast<Index>(begin + size)),
          reference.parameters[id]);
    begin += size;
  }
  EXPECT_EQ(begin, all.size());
  return worst;
}

template double expectGradientsMatchReference(LayerCase<float>&, double);
template double expectGradientsMatchReference(LayerCase<double>&, double);

}  // namespace cross_attention::test
