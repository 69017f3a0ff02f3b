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

/// Lowers a graph with one input.
Program lower(const NodePointer& output, const NodePointer& input, const Shape& shape) {
  return compiler::lower({{output}, {input}, {compiler::placeholder(shape)}, {}}, output);
}

}  // namespace

TEST(LowerTest, BindsNamedSizesAndInfersAllShapes) {
  const GraphCase<double> graphCase(CaseShape{});
  const Program program = graphCase.lower();
  EXPECT_EQ(program.at(program.output).shape, graphCase.layerCase.input.shape());
  // Four of the layer, those of the image and the context at the beginning, and that of the image at the end.
  EXPECT_EQ(count(program, Operator::kReshape), 4 + 2 + 1);
}

TEST(LowerTest, AcceptsAllLayoutsOfTheLayer) {
  for (const Layout layout : {Layout::kImage, Layout::kBatches, Layout::kSingle}) {
    CaseShape shape;
    shape.layout = layout;
    shape.context = Shape{7, 6};
    shape.mask = Shape{1, 7};
    const GraphCase<double> graphCase(shape);
    const Program program = graphCase.lower();
    EXPECT_EQ(program.at(program.output).shape, graphCase.layerCase.input.shape());
    EXPECT_EQ(count(program, Operator::kLog), 1);
  }
}

TEST(LowerTest, RefusesInvalidSources) {
  const GraphCase<double> graphCase(CaseShape{});
  const auto fails = [&](ErrorCode code, auto change) {
    compiler::Source source = graphCase.source;
    change(source);
    return failsWith(code, [&] { compiler::lower(source, source.outputs[0]); });
  };
  EXPECT_TRUE(fails(ErrorCode::kArgument, [](auto& source) { source.inputs.pop_back(); }));
  EXPECT_TRUE(fails(ErrorCode::kArgument, [](auto& source) { source.inputs[1] = source.inputs[0]; }));
  EXPECT_TRUE(
      fails(ErrorCode::kArgument, [&](auto& source) { source.inputs[1] = graphCase.source.outputs[0]; }));
  for (const Shape& shape : {Shape{1, 9, 3, 5}, Shape{8}, Shape{1, 2, 3, 4, 8}, Shape{15, 9}}) {
    EXPECT_TRUE(
        fails(ErrorCode::kShape, [&](auto& source) { source.tensors[0] = compiler::placeholder(shape); }));
  }
  // The context's batch is neither 1 nor that of the input.
  EXPECT_TRUE(fails(ErrorCode::kShape, [&](auto& source) {
    source.tensors[0] = compiler::placeholder(Shape{2, 15, 8});
    source.tensors[1] = compiler::placeholder(Shape{3, 7, 6});
  }));
}

TEST(ShareSubexpressionsTest, ComputesEqualNodesOnce) {
  const NodePointer input = Node::input("x", kDouble, {4, 4});
  const auto log = [&] { return Node::apply(Operator::kLog, "log", {input}); };
  const auto transposed = [](const NodePointer& node) {
    return Node::apply(Operator::kTranspose, "transposed", {node}, {1, 0});
  };
  const NodePointer sum =
      Node::apply(Operator::kAdd, "sum",
                  {Node::apply(Operator::kMul, "product", {transposed(log()), transposed(log())}), log()});
  Program program = lower(sum, input, Shape{4, 4});
  compiler::shareSubexpressions(program);
  compiler::removeUnused(program);
  EXPECT_EQ(count(program, Operator::kLog), 1);
  EXPECT_EQ(count(program, Operator::kTranspose), 1);
  EXPECT_EQ(program.size(), 5);
  EXPECT_EQ(program.at(program.output).name, "sum");
}

TEST(ShareSubexpressionsTest, DistinguishesAttributes) {
  const NodePointer input = Node::input("x", kDouble, {4, 4});
  const NodePointer output = Node::apply(Operator::kAdd, "sum",
                                         {Node::apply(Operator::kTranspose, "swapped", {input}, {1, 0}),
                                          Node::apply(Operator::kTranspose, "same", {input}, {0, 1})});
  Program program = lower(output, input, Shape{4, 4});
  compiler::shareSubexpressions(program);
  compiler::removeUnused(program);
  EXPECT_EQ(count(program, Operator::kTranspose), 2);
}

TEST(FuseAttentionTest, ReplacesALayerByOneOperation) {
  for (const bool masked : {false, true}) {
    CaseShape shape;
    shape.layout = Layout::kBatches;
    shape.context = Shape{1, 7, 6};
    if (masked) shape.mask = Shape{1, 1, 1, 7};
    const GraphCase<double> graphCase(shape);
    Program program = graphCase.lower();
    compiler::fuseAttention(program);
    compiler::removeUnused(program);
    EXPECT_EQ(count(program, Operator::kAttention), 1);
    EXPECT_EQ(program.size(), masked ? 4 : 3);
    EXPECT_EQ(program.at(program.output).inputs.size(), masked ? 3U : 2U);
  }
}

TEST(FuseAttentionTest, IgnoresOtherGraphs) {
  const GraphCase<double> graphCase(CaseShape{});
  // The same graph built from parts of two layers is not the attention of one layer.
  const GraphCase<double> other(CaseShape{});
  const NodePointer mixed =
      Node::apply(Operator::kAdd, "mixed",
                  {graphCase.source.outputs[0]->inputs()[0], other.source.outputs[0]->inputs()[1]});
  Program program = compiler::lower(graphCase.source, mixed);
  compiler::fuseAttention(program);
  EXPECT_EQ(count(program, Operator::kAttention), 0);
}

TEST(KeepLayoutTest, LeavesOnlyTheAttention) {
  for (const Layout layout : {Layout::kImage, Layout::kSingle}) {
    CaseShape shape;
    shape.layout = layout;
    shape.context = Shape{7, 6};
    const GraphCase<double> graphCase(shape);
    Program program = graphCase.lower();
    compiler::fuseAttention(program);
    compiler::keepLayout(program);
    compiler::removeUnused(program);
    EXPECT_EQ(program.size(), 3);
    EXPECT_EQ(program.at(program.output).op, Operator::kAttention);
    EXPECT_EQ(program.at(program.output).shape, graphCase.layerCase.input.shape());
  }
}

TEST(FoldConstantsTest, ComputesNodesThatDependOnConstantsOnly) {
  GraphCase<double> graphCase(CaseShape{});
  graphCase.makeConstant(1);
  Program program = graphCase.lower();
  compiler::foldConstants(program);
  compiler::removeUnused(program);
  // Four products remain: q = x·Wqᵀ, the scores, the weighted sum of the values, the output projection.
  EXPECT_EQ(count(program, Operator::kMatMul), 4);
}

TEST(PlanMemoryTest, SharesMemoryBetweenDisjointLifetimes) {
  const NodePointer input = Node::input("x", kDouble, {64});
  NodePointer node = input;
  for (int step = 0; step < 6; ++step) node = Node::apply(Operator::kLog, "log", {node});
  const NodePointer output = Node::apply(Operator::kAdd, "sum", {node, input});
  const Program program = lower(output, input, Shape{64});
  const compiler::MemoryPlan plan = compiler::planMemory(program);
  // Each step reads one buffer and writes another.
  EXPECT_EQ(plan.bytes, 2 * 64 * static_cast<ByteCount>(sizeof(double)));
  EXPECT_EQ(plan.offsets[0], -1);
  EXPECT_EQ(plan.offsets[static_cast<std::size_t>(program.output)], -1);
}

TEST(PlanMemoryTest, LiveValuesDoNotOverlap) {
  CaseShape shape;
  shape.mask = Shape{1, 2, 15, 7};
  const GraphCase<float> graphCase(shape);
  const Program program = graphCase.lower();
  const compiler::MemoryPlan plan = compiler::planMemory(program);
  std::vector<int> lastUse(program.operations.size(), -1);
  for (int index = 0; index < program.size(); ++index) {
    for (const int input : program.at(index).inputs) lastUse[static_cast<std::size_t>(input)] = index;
  }
  const auto bytesOf = [&](int index) {
    return program.at(index).shape.size() * static_cast<Index>(sizeof(float));
  };
  int overlappingLives = 0;
  for (int later = 0; later < program.size(); ++later) {
    const ByteCount begin = plan.offsets[static_cast<std::size_t>(later)];
    if (begin < 0) continue;
    for (int earlier = 0; earlier < later; ++earlier) {
      const ByteCount other = plan.offsets[static_cast<std::size_t>(earlier)];
      if (other < 0 || lastUse[static_cast<std::size_t>(earlier)] < later) continue;
      ++overlappingLives;
      EXPECT_TRUE(begin + bytesOf(later) <= other || other + bytesOf(earlier) <= begin);
    }
  }
  EXPECT_GT(overlappingLives, 3);
}

}  // namespace cross_attention::test::compiler_passes_test
