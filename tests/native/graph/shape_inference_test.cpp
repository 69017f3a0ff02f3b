#include "graph/shape_inference.hpp"

#include <gtest/gtest.h>

#include "support/comparison.hpp"

namespace cross_attention::test::graph_shape_inference_test {

namespace {

using graph::Dimensions;
using graph::Operator;

Dimensions infer(Operator op, const std::vector<Dimensions>& inputs,
                 const graph::Attributes& attributes = {}) {
  return graph::inferShape(op, "here", inputs, attributes);
}

testing::AssertionResult failsShape(Operator op, const std::vector<Dimensions>& inputs,
                                    const graph::Attributes& attributes = {}) {
  return failsWith(ErrorCode::kShape, [&] { infer(op, inputs, attributes); });
}

}  // namespace

TEST(ShapeInferenceTest, BroadcastsElementwiseOperands) {
  EXPECT_EQ(infer(Operator::kAdd, {{"batch", 4, "tokens"}, {4, 1}}), (Dimensions{"batch", 4, "tokens"}));
  EXPECT_EQ(infer(Operator::kMul, {{"batch", 1}, {}}), (Dimensions{"batch", 1}));
  EXPECT_EQ(infer(Operator::kLog, {{"batch", 3}}), (Dimensions{"batch", 3}));
  EXPECT_TRUE(failsShape(Operator::kSub, {{2, 3}, {2, 4}}));
  EXPECT_TRUE(failsShape(Operator::kDiv, {{"batch", 3}, {"tokens", 3}}));
  EXPECT_TRUE(failsShape(Operator::kDiv, {{"batch", 3}, {2, 3}}));
}

TEST(ShapeInferenceTest, MatMulChecksInnerDimensions) {
  EXPECT_EQ(infer(Operator::kMatMul, {{"batch", "tokens", 8}, {8, 5}}), (Dimensions{"batch", "tokens", 5}));
  EXPECT_EQ(infer(Operator::kMatMul, {{"batch", 2, 3, 4}, {1, 2, 4, "length"}}),
            (Dimensions{"batch", 2, 3, "length"}));
  EXPECT_TRUE(failsShape(Operator::kMatMul, {{2, 3}, {4, 5}}));
  EXPECT_TRUE(failsShape(Operator::kMatMul, {{3}, {3, 5}}));
  EXPECT_TRUE(failsShape(Operator::kMatMul, {{2, 2, 3}, {3, 3, 5}}));
}

TEST(ShapeInferenceTest, TransposeRequiresEachAxisOnce) {
  EXPECT_EQ(infer(Operator::kTranspose, {{"batch", "tokens", 8}}, {2, 0, 1}),
            (Dimensions{8, "batch", "tokens"}));
  for (const graph::Attributes& axes : {graph::Attributes{0, 1}, {0, 0, 1}, {0, 1, 3}, {-1, 0, 1}}) {
    EXPECT_TRUE(failsShape(Operator::kTranspose, {{"batch", "tokens", 8}}, axes));
  }
}

TEST(ShapeInferenceTest, ReshapeAcceptsZerosAndOneInferredDimension) {
  const Dimensions tokens{"batch", "tokens", 12};
  EXPECT_EQ(infer(Operator::kReshape, {tokens}, {0, 0, 3, 4}), (Dimensions{"batch", "tokens", 3, 4}));
  EXPECT_EQ(infer(Operator::kReshape, {tokens}, {0, 0, -1, 4}), (Dimensions{"batch", "tokens", 3, 4}));
  EXPECT_EQ(infer(Operator::kReshape, {tokens}, {0, -1, 12}), tokens);
  EXPECT_EQ(infer(Operator::kReshape, {{2, Index{0}, 3}}, {0, 0, 3}), (Dimensions{2, Index{0}, 3}));
  EXPECT_EQ(infer(Operator::kReshape, {{6, 4}}, {-1}), (Dimensions{24}));
  EXPECT_TRUE(failsShape(Operator::kReshape, {tokens}, {0, 0, 5, 4}));
  EXPECT_TRUE(failsShape(Operator::kReshape, {tokens}, {0, 0, -1, 5}));
  EXPECT_TRUE(failsShape(Operator::kReshape, {tokens}, {0, -1, -1}));
  EXPECT_TRUE(failsShape(Operator::kReshape, {tokens}, {-1, 12}));
  EXPECT_TRUE(failsShape(Operator::kReshape, {tokens}, {0, 0, 12, 0}));
  EXPECT_TRUE(failsShape(Operator::kReshape, {tokens}, {0, 0, -2}));
}

TEST(ShapeInferenceTest, SoftmaxRequiresTheLastAxis) {
  EXPECT_EQ(infer(Operator::kSoftmax, {{"batch", 4}}, {-1}), (Dimensions{"batch", 4}));
  EXPECT_EQ(infer(Operator::kSoftmax, {{"batch", 4}}, {1}), (Dimensions{"batch", 4}));
  EXPECT_TRUE(failsShape(Operator::kSoftmax, {{"batch", 4}}, {0}));
  EXPECT_TRUE(failsShape(Operator::kSoftmax, {{}}, {-1}));
}

TEST(ShapeInferenceTest, ErrorsNameTheNodeAndTheShapes) {
  try {
    infer(Operator::kMatMul, {{"batch", 3}, {4, 5}});
    FAIL();
  } catch (const Error& error) {
    for (const char* part : {"'here'", "[batch, 3]", "[4, 5]", "MatMul"}) {
      EXPECT_NE(error.message().find(part), std::string::npos) << error.message();
    }
  }
}

}  // namespace cross_attention::test::graph_shape_inference_test
