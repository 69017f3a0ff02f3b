#include "compiler/passes.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "compiler/operator_kernels.hpp"
#include "support/comparison.hpp"
#include "support/graph_case.hpp"

namespace cross_attention::test::compiler_passes_test {

namespace {

using compiler::Operation;
using compiler::Program;
using graph::Node;
using graph::NodePointer;
using graph::Operator;

constexpr graph::ElementType kDouble = graph::ElementType::kFloat64;

Index count(const Program& program, Operator op) {
  return std::ranges::count(program.operations, op, &Operation::op);
}

/// The program of a graph with that one input.
Program lower(const NodePointer& output, const NodePointer& input, const Shape& shape) {
  return compiler::lower({{output}, {input}, {compiler::placeholder(shape)}, {}}, output);
}

}  // namespace

TEST(LowerTest, BindsNamedSizesAndInfersAllShapes) {
  const GraphCase<double> one(CaseShape{});
  const Program program = one.lower();
  EXPECT_EQ(program.at(program.output).shape, one.one.input.shape());
  // The layer's four, the image's and the context's at the beginning, the image's at the end.
  EXPECT_EQ(count(program, Operator::kReshape), 4 + 2 + 1);
}

TEST(LowerTest, TakesTheFormsThatTheLayerTakes) {
  for (const Layout layout : {Layout::kImage, Layout::kBatches, Layout::kSingle}) {
    CaseShape shape;
    shape.layout = layout;
    shape.context = Shape{7, 6};
    shape.mask = Shape{1, 7};
    const GraphCase<double> one(shape);
    const Program program = one.lower();
    EXPECT_EQ(program.at(program.output).shape, one.one.input.shape());
    EXPECT_EQ(count(program, Operator::kLog), 1);
  }
}

TEST(LowerTest, RefusesWhatDoesNotFit) {
  const GraphCase<double> one(CaseShape{});
  const auto fails = [&](ErrorCode code, auto change) {
    compiler::Source source = one.source;
    change(source);
    return failsWith(code, [&] { compiler::lower(source, source.outputs[0]); });
  };
  EXPECT_TRUE(fails(ErrorCode::kArgument, [](auto& source) { source.inputs.pop_back(); }));
  EXPECT_TRUE(
      fails(ErrorCode::kArgument, [](auto& source) { source.inputs[1] = source.inputs[0]; }));
  EXPECT_TRUE(
      fails(ErrorCode::kArgument, [&](auto& source) { source.inputs[1] = one.source.outputs[0]; }));
  for (const Shape& shape : {Shape{1, 9, 3, 5}, Shape{8}, Shape{1, 2, 3, 4, 8}, Shape{15, 9}}) {
    EXPECT_TRUE(fails(ErrorCode::kShape,
                      [&](auto& source) { source.tensors[0] = compiler::placeholder(shape); }));
  }
  // A context of another batch than the input's, which is not 1.
  EXPECT_TRUE(fails(ErrorCode::kShape, [&](auto& source) {
    source.tensors[0] = compiler::placeholder(Shape{2, 15, 8});
    source.tensors[1] = compiler::placeholder(Shape{3, 7, 6});
  }));
}

TEST(ShareSubexpressionsTest, MakesTheSameOnce) {
  const NodePointer input = Node::input("x", kDouble, {4, 4});
  const auto log = [&] { return Node::apply(Operator::kLog, "log", {input}); };
  const auto transposed = [](const NodePointer& node) {
    return Node::apply(Operator::kTranspose, "transposed", {node}, {1, 0});
  };
  const NodePointer sum = Node::apply(
      Operator::kAdd, "sum",
      {Node::apply(Operator::kMul, "product", {transposed(log()), transposed(log())}), log()});
  Program program = lower(sum, input, Shape{4, 4});
  compiler::shareSubexpressions(program);
  compiler::removeUnused(program);
  EXPECT_EQ(count(program, Operator::kLog), 1);
  EXPECT_EQ(count(program, Operator::kTranspose), 1);
  EXPECT_EQ(program.size(), 5);
  EXPECT_EQ(program.at(program.output).name, "sum");
}

TEST(ShareSubexpressionsTest, KeepsApartWhatDiffersInALetter) {
  const NodePointer input = Node::input("x", kDouble, {4, 4});
  const NodePointer output =
      Node::apply(Operator::kAdd, "sum",
                  {Node::apply(Operator::kTranspose, "swapped", {input}, {1, 0}),
                   Node::apply(Operator::kTranspose, "same", {input}, {0, 1})});
  Program program = lower(output, input, Shape{4, 4});
  compiler::shareSubexpressions(program);
  compiler::removeUnused(program);
  EXPECT_EQ(count(program, Operator::kTranspose), 2);
}

TEST(FuseAttentionTest, PutsOneOperationInThePlaceOfALayer) {
  for (const bool masked : {false, true}) {
    CaseShape shape;
    shape.layout = Layout::kBatches;
    shape.context = Shape{1, 7, 6};
    if (masked) shape.mask = Shape{1, 1, 1, 7};
    const GraphCase<double> one(shape);
    Program program = one.lower();
    compiler::fuseAttention(program);
    compiler::removeUnused(program);
    EXPECT_EQ(count(program, Operator::kAttention), 1);
    EXPECT_EQ(program.size(), masked ? 4 : 3);
    EXPECT_EQ(program.at(program.output).inputs.size(), masked ? 3U : 2U);
  }
}

TEST(FuseAttentionTest, LeavesOtherGraphsAlone) {
  const GraphCase<double> one(CaseShape{});
  // The same graph with parts of two layers: not one layer's attention.
  const GraphCase<double> other(CaseShape{});
  const NodePointer mixed =
      Node::apply(Operator::kAdd, "mixed",
                  {one.source.outputs[0]->inputs()[0], other.source.outputs[0]->inputs()[1]});
  Program program = compiler::lower(one.source, mixed);
  compiler::fuseAttention(program);
  EXPECT_EQ(count(program, Operator::kAttention), 0);
}

TEST(KeepLayoutTest, LeavesNothingButTheAttention) {
  for (const Layout layout : {Layout::kImage, Layout::kSingle}) {
    CaseShape shape;
    shape.layout = layout;
    shape.context = Shape{7, 6};
    const GraphCase<double> one(shape);
    Program program = one.lower();
    compiler::fuseAttention(program);
    compiler::keepLayout(program);
    compiler::removeUnused(program);
    EXPECT_EQ(program.size(), 3);
    EXPECT_EQ(program.at(program.output).op, Operator::kAttention);
    EXPECT_EQ(program.at(program.output).shape, one.one.input.shape());
  }
}

TEST(FoldConstantsTest, ComputesWhatDependsOnConstantsOnly) {
  GraphCase<double> one(CaseShape{});
  one.keep(1);
  Program program = one.lower();
  compiler::foldConstants(program);
  compiler::removeUnused(program);
  // Left are: q = x·Wqᵀ, the scores, the values' sum, the output projection.
  EXPECT_EQ(count(program, Operator::kMatMul), 4);
}

TEST(PlanMemoryTest, SharesMemoryBetweenLivesThatDoNotOverlap) {
  const NodePointer input = Node::input("x", kDouble, {64});
  NodePointer node = input;
  for (int step = 0; step < 6; ++step) node = Node::apply(Operator::kLog, "log", {node});
  const NodePointer output = Node::apply(Operator::kAdd, "sum", {node, input});
  const Program program = lower(output, input, Shape{64});
  const compiler::MemoryPlan plan = compiler::planMemory(program);
  // A step reads one and writes another.
  EXPECT_EQ(plan.bytes, 2 * 64 * static_cast<ByteCount>(sizeof(double)));
  EXPECT_EQ(plan.offsets[0], -1);
  EXPECT_EQ(plan.offsets[static_cast<std::size_t>(program.output)], -1);
}

TEST(PlanMemoryTest, NoTwoLivingValuesOverlap) {
  CaseShape shape;
  shape.mask = Shape{1, 2, 15, 7};
  const GraphCase<float> one(shape);
  const Program program = one.lower();
  const compiler::MemoryPlan plan = compiler::planMemory(program);
  std::vector<int> lastUse(program.operations.size(), -1);
  for (int number = 0; number < program.size(); ++number) {
    for (const int input : program.at(number).inputs)
      lastUse[static_cast<std::size_t>(input)] = number;
  }
  const auto bytesOf = [&](int number) {
    return program.at(number).shape.size() * static_cast<Index>(sizeof(float));
  };
  int living = 0;
  for (int later = 0; later < program.size(); ++later) {
    const ByteCount begin = plan.offsets[static_cast<std::size_t>(later)];
    if (begin < 0) continue;
    for (int earlier = 0; earlier < later; ++earlier) {
      const ByteCount other = plan.offsets[static_cast<std::size_t>(earlier)];
      if (other < 0 || lastUse[static_cast<std::size_t>(earlier)] < later) continue;
      ++living;
      EXPECT_TRUE(begin + bytesOf(later) <= other || other + bytesOf(earlier) <= begin);
    }
  }
  EXPECT_GT(living, 3);
}

}  // namespace cross_attention::test::compiler_passes_test
