#include "graph/node.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "support/comparison.hpp"
#include "support/graph_case.hpp"

namespace cross_attention::test::graph_node_test {

namespace {

using graph::Dimensions;
using graph::Node;
using graph::NodePointer;
using graph::Operator;

constexpr graph::ElementType kFloat = graph::ElementType::kFloat32;

}  // namespace

TEST(NodeTest, IsOrderedAfterItsInputs) {
  const NodePointer input = Node::input("x", kFloat, {"batch", 4});
  const NodePointer left = Node::apply(Operator::kLog, "left", {input});
  const NodePointer right = Node::apply(Operator::kIdentity, "right", {input});
  const NodePointer sum = Node::apply(Operator::kAdd, "sum", {left, right});
  const std::vector<const Node*> all{input.get(), left.get(), right.get(), sum.get()};
  EXPECT_EQ(graph::topologicalOrder(sum), all);
  EXPECT_EQ(graph::topologicalOrder(std::array{right, sum}), all);
  EXPECT_EQ(graph::print(sum),
            "x [batch, 4] = Input()\n"
            "left [batch, 4] = Log(x)\n"
            "right [batch, 4] = Identity(x)\n"
            "sum [batch, 4] = Add(left, right)\n");
}

TEST(NodeTest, OrdersGraphsDeeperThanTheStack) {
  NodePointer node = Node::input("x", kFloat, {4});
  std::vector<NodePointer> all{node};
  for (int depth = 0; depth < 200000; ++depth) {
    node = Node::apply(Operator::kIdentity, "same", {node});
    all.push_back(node);
  }
  EXPECT_TRUE(std::ranges::equal(graph::topologicalOrder(node), all, {}, {}, &NodePointer::get));
  // Nodes are released one by one: a chain of destructors would overflow the stack.
  node.reset();
  while (!all.empty()) all.pop_back();
}

TEST(NodeTest, RefusesInvalidInputs) {
  const NodePointer single = Node::input("x", kFloat, {4});
  const NodePointer twice = Node::input("y", graph::ElementType::kFloat64, {4});
  EXPECT_TRUE(failsWith(ErrorCode::kArgument, [&] { Node::apply(Operator::kAdd, "sum", {single}); }));
  EXPECT_TRUE(failsWith(ErrorCode::kArgument, [&] { Node::apply(Operator::kAdd, "sum", {single, twice}); }));
  EXPECT_TRUE(failsWith(ErrorCode::kArgument, [&] { Node::apply(Operator::kInput, "in", {}); }));
}

TEST(ComputationGraphTest, ConsistsOfOnnxOperators) {
  CaseShape shape;
  shape.mask = Shape{1, 2, 1, 7};
  const GraphCase<float> graphCase(shape);
  const std::vector<const Node*> nodes = graph::topologicalOrder(graphCase.source.outputs);
  ASSERT_EQ(graphCase.source.inputs.size(), 3U);
  EXPECT_EQ(graphCase.source.inputs[0]->shape(), (Dimensions{"batch", "tokens", 8}));
  EXPECT_EQ(graphCase.source.inputs[1]->shape(), (Dimensions{"batch", "contextLength", 6}));
  EXPECT_EQ(graphCase.source.inputs[2]->shape(), (Dimensions{"batch", 2, "tokens", "contextLength"}));
  EXPECT_EQ(graphCase.source.outputs[0]->shape(), graphCase.source.inputs[0]->shape());
  const auto count = [&](Operator op) {
    return std::ranges::count_if(nodes, [op](const Node* node) { return node->op() == op; });
  };
  EXPECT_EQ(count(Operator::kMatMul), 6);
  EXPECT_EQ(count(Operator::kSoftmax), 1);
  EXPECT_EQ(count(Operator::kConstant), 6);
  EXPECT_EQ(count(Operator::kAdd), 2);
}

TEST(ComputationGraphTest, SharesStorageWithTheLayer) {
  const std::size_t before = memory::bytesInUse();
  {
    GraphCase<float> graphCase(CaseShape{});
    const std::size_t bytes = memory::bytesInUse();
    graph::NodeInputs inputs;
    const NodePointer output = exportComputationGraph(graphCase.layerCase.layer, {}, inputs);
    EXPECT_EQ(memory::bytesInUse(), bytes);
    for (const Node* node : graph::topologicalOrder(output)) {
      if (node->name() != "cross_attention.to_out.0.bias") continue;
      EXPECT_EQ(node->elements().elements(),
                graphCase.layerCase.layer.parameters().values(layer::ParameterId::kOutputBias).data());
    }
  }
  EXPECT_EQ(memory::bytesInUse(), before);
}

TEST(ComputationGraphTest, RefusesASharedContextOfAnotherSize) {
  const GraphCase<float> graphCase(CaseShape{});
  graph::NodeInputs inputs;
  layer::GraphOptions options;
  options.context = Node::input("context", kFloat, {"batch", "contextLength", 9});
  EXPECT_TRUE(failsWith(ErrorCode::kShape,
                        [&] { exportComputationGraph(graphCase.layerCase.layer, options, inputs); }));
  EXPECT_EQ(inputs.size(), 0U);
}

}  // namespace cross_attention::test::graph_node_test
