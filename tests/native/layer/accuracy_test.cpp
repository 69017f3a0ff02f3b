#include <gtest/gtest.h>

#include <cmath>

#include "support/comparison.hpp"
#include "support/layer_case.hpp"
#include "support/measured_shapes.hpp"
#include "support/threads.hpp"

namespace cross_attention::test::layer_accuracy_test {

class AccuracyTest : public testing::TestWithParam<MeasuredShape> {};
INSTANTIATE_TEST_SUITE_P(MeasuredShapes, AccuracyTest, testing::ValuesIn(measuredShapes()),
                         [](const auto& test) { return test.param.testName(); });

/// Unit-normal data and Xavier weights: the maximum absolute error of float32 is at most 2e-6 · √C, compared
/// with float64. The reference computes all keys and values, and a selection of tokens that includes the
/// edges of blocks.
TEST_P(AccuracyTest, Float32ForwardIsWithinItsBound) {
  const MeasuredShape& measured = GetParam();
  const ThreadsInScope threads(2);
  LayerCase<float> layerCase(measured.shape);
  // A new layer has a bias of 0.
  layerCase.layer.setParameter("to_out.0.bias", Tensor<float>::zeros(Shape{measured.shape.queryDim}));
  const Tensor<float> output = layerCase.forward();
  ASSERT_TRUE(isFinite(output));
  std::vector<Index> chosen;
  const Index tokens = measured.shape.tokens();
  for (const Index token :
       {Index(0), Index(1), Index(15), Index(16), Index(31), Index(32), Index(63), Index(64), Index(127),
        Index(128), tokens / 2, tokens - 17, tokens - 2, tokens - 1}) {
    chosen.push_back(token);
  }
  Random random(99);
  for (int count = 0; count < 18; ++count) chosen.push_back(between(random, 0, tokens - 1));
  const std::vector<double> expected = layerCase.reference().output(chosen);
  const std::vector<double> actual = layerCase.rows(output, chosen);
  const double bound = 2e-6 * std::sqrt(static_cast<double>(measured.shape.queryDim));
  EXPECT_TRUE(isNear(actual, expected, bound));
  std::printf("%s: max abs error %.2g, allowed %.2g, largest output %.2f\n", measured.name.c_str(),
              largestDifference(actual, expected), bound, largestMagnitude(expected));
}

}  // namespace cross_attention::test::layer_accuracy_test
