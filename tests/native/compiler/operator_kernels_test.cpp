#include "compiler/operator_kernels.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/tensor.hpp"
#include "support/comparison.hpp"

namespace cross_attention::test::compiler_operator_kernels_test {

namespace {

using compiler::Operation;
using graph::Operator;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Input {
  Shape shape;
  std::vector<double> elements;
};

std::vector<double> compute(Operator op, const Shape& shape, const std::vector<Input>& inputs,
                            const graph::Attributes& attributes = {}) {
  Operation operation;
  operation.op = op;
  operation.shape = shape;
  operation.attributes = attributes;
  compiler::Operands operands;
  for (std::size_t index = 0; index < inputs.size(); ++index) {
    operation.inputs.push_back(static_cast<int>(index));
    operands[index] = {inputs[index].elements.data(), inputs[index].shape};
  }
  std::vector<double> value(static_cast<std::size_t>(shape.size()));
  // In two parts, as with threads.
  const Index rows = compiler::rowsOf(shape);
  compiler::computeRows(graph::ElementType::kFloat64, operation, operands, value.data(), 0, rows / 2);
  compiler::computeRows(graph::ElementType::kFloat64, operation, operands, value.data(), rows / 2, rows);
  return value;
}

using Values = std::vector<double>;

}  // namespace

TEST(OperatorKernelsTest, BroadcastsElementwiseOperands) {
  EXPECT_EQ(compute(Operator::kAdd, {2, 3}, {{{2, 3}, {1, 2, 3, 4, 5, 6}}, {{3}, {10, 20, 30}}}),
            (Values{11, 22, 33, 14, 25, 36}));
  EXPECT_EQ(compute(Operator::kSub, {2, 2}, {{{2, 1}, {1, 2}}, {{1, 2}, {10, 20}}}),
            (Values{-9, -19, -8, -18}));
  EXPECT_EQ(compute(Operator::kMul, {3}, {{{3}, {1, 2, 3}}, {{}, {4}}}), (Values{4, 8, 12}));
  EXPECT_EQ(compute(Operator::kDiv, {}, {{{}, {1}}, {{}, {4}}}), (Values{0.25}));
  EXPECT_EQ(compute(Operator::kLog, {2}, {{{2}, {1, 0}}}), (Values{0, -kInfinity}));
  EXPECT_EQ(compute(Operator::kIdentity, {2}, {{{2}, {1, 0}}}), (Values{1, 0}));
}

TEST(OperatorKernelsTest, MatMulBroadcastsBatches) {
  EXPECT_EQ(compute(Operator::kMatMul, {2, 2}, {{{2, 3}, {1, 2, 3, 4, 5, 6}}, {{3, 2}, {1, 0, 0, 1, 1, 1}}}),
            (Values{4, 5, 10, 11}));
  EXPECT_EQ(compute(Operator::kMatMul, {2, 1, 2}, {{{2, 1, 1}, {2, 3}}, {{1, 1, 2}, {5, 7}}}),
            (Values{10, 14, 15, 21}));
  // Empty sums are zero.
  EXPECT_EQ(compute(Operator::kMatMul, {1, 2}, {{{1, 0}, {}}, {{0, 2}, {}}}), (Values{0, 0}));
}

TEST(OperatorKernelsTest, TransposesAndReshapes) {
  EXPECT_EQ(compute(Operator::kTranspose, {3, 2}, {{{2, 3}, {1, 2, 3, 4, 5, 6}}}, {1, 0}),
            (Values{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(compute(Operator::kTranspose, {2, 2, 2}, {{{2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8}}}, {1, 2, 0}),
            (Values{1, 5, 2, 6, 3, 7, 4, 8}));
  EXPECT_EQ(compute(Operator::kReshape, {3, 2}, {{{2, 3}, {1, 2, 3, 4, 5, 6}}}, {3, 2}),
            (Values{1, 2, 3, 4, 5, 6}));
}

TEST(OperatorKernelsTest, SoftmaxOfAFullyMaskedRowIsZero) {
  const Values value =
      compute(Operator::kSoftmax, {2, 3},
              {{{2, 3}, {0, std::log(3.0), -kInfinity, -kInfinity, -kInfinity, -kInfinity}}}, {-1});
  EXPECT_TRUE(isNear(value, Values{0.25, 0.75, 0, 0, 0, 0}, 1e-15));
}

TEST(OperatorKernelsTest, SoftmaxMatchesItsDefinition) {
  const Values scores{0, -0.3, -1, -7.5, -30, -700};
  double sum = 0;
  for (const double score : scores) sum += std::exp(score);
  const Values value = compute(Operator::kSoftmax, {6}, {{{6}, scores}}, {-1});
  for (std::size_t index = 0; index < scores.size(); ++index) {
    // e^x is computed as 2^(x · log2(e)). Rounding the factor and the product changes the result by |x| ·
    // 2^-53 each. The power, the sum and the quotient contribute less than 8 · 2^-53.
    const double expected = std::exp(scores[index]) / sum;
    EXPECT_NEAR(value[index], expected, expected * (std::abs(scores[index]) + 8) * 0x1p-52);
  }
}

TEST(OperatorKernelsTest, SoftmaxOfLargeScoresIsFinite) {
  EXPECT_TRUE(isNear(compute(Operator::kSoftmax, {2}, {{{2}, {1e4, 1e4}}}, {-1}), Values{0.5, 0.5}, 0));
}

}  // namespace cross_attention::test::compiler_operator_kernels_test
