#include "compiler/compiled_graph.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "support/comparison.hpp"
#include "support/graph_case.hpp"
#include "support/random_data.hpp"
#include "support/threads.hpp"

namespace cross_attention::test::compiler_compiled_graph_test {

namespace {

using compiler::Association;
using compiler::CompiledGraph;
using compiler::CompileOptions;

/// Rounding errors only: the same products in another order.
template <class T>
constexpr double kTolerance = sizeof(T) == 4 ? 1e-5 : 1e-12;

CaseShape randomShape(Random& random) {
  CaseShape shape;
  shape.layout = oneOf(random, std::array{Layout::kImage, Layout::kBatches, Layout::kSingle});
  shape.batch = shape.layout == Layout::kSingle ? 1 : between(random, 1, 3);
  shape.height = between(random, 1, 9);
  shape.width = between(random, 1, 9);
  shape.numHeads = oneOf(random, std::array<Index, 4>{1, 2, 3, 8});
  shape.queryDim = shape.numHeads * between(random, 1, 9);
  const Index length = between(random, 1, 40);
  const Index contextDim = between(random, 1, 30);
  const Index rows = between(random, 0, 1) == 0 ? 1 : shape.batch;
  shape.context = between(random, 0, 2) == 0 ? Shape{length, contextDim} : Shape{rows, length, contextDim};
  switch (between(random, 0, 3)) {
    case 0:
      shape.mask = Shape{between(random, 0, 1) == 0 ? 1 : shape.batch, length};
      break;
    case 1:
      shape.mask =
          Shape{between(random, 0, 1) == 0 ? 1 : shape.batch, between(random, 0, 1) == 0 ? 1 : shape.numHeads,
                between(random, 0, 1) == 0 ? 1 : shape.tokens(), length};
      break;
    default:
      break;
  }
  shape.ignoresWholeRow = shape.mask && between(random, 0, 3) == 0;
  if (between(random, 0, 2) == 0) shape.headChannels = between(random, 1, 12);
  if (between(random, 0, 2) == 0) shape.outputChannels = between(random, 1, 20);
  shape.bias = between(random, 0, 2) == 0;
  shape.outputBias = between(random, 0, 3) > 0;
  shape.seed = random.next();
  return shape;
}

/// Returns options with all passes, without one pass each, and without any pass.
std::vector<CompileOptions> allOptions() {
  std::vector<CompileOptions> all(1);
  for (const Association association : {Association::kPlain, Association::kFolded}) {
    all.emplace_back().attention.association = association;
  }
  all.emplace_back().shareSubexpressions = false;
  all.emplace_back().fuseAttention = false;
  all.emplace_back().keepLayout = false;
  all.emplace_back().foldConstants = false;
  all.emplace_back().attention.dropMaskedKeys = false;
  all.emplace_back().attention.measure = false;
  all.push_back({.shareSubexpressions = false,
                 .fuseAttention = false,
                 .keepLayout = false,
                 .foldConstants = false,
                 .attention = {}});
  return all;
}

template <class T>
void expectMatchesLayer(Random& random) {
  const CaseShape shape = randomShape(random);
  GraphCase<T> graphCase(shape);
  const Tensor<T> expected = graphCase.layerCase.forward();
  for (const unsigned constants : {0U, 2U, 4U, 6U}) {
    for (std::size_t index = 1; index < graphCase.tensors.size(); ++index) {
      if ((constants >> index & 1U) != 0) graphCase.makeConstant(index);
    }
    std::size_t index = 0;
    for (const CompileOptions& options : allOptions()) {
      EXPECT_TRUE(isRelativelyNear(graphCase.run(options), expected, kTolerance<T>))
          << shape.describe() << ", options " << index << ", constants " << constants;
      ++index;
    }
  }
}

CaseShape promptShape() {
  CaseShape shape;
  shape.batch = 2;
  shape.queryDim = 32;
  shape.numHeads = 2;
  shape.context = Shape{2, 7, 12};
  return shape;
}

}  // namespace

TEST(CompiledGraphTest, MatchesTheLayerWithEachPassOnAndOff) {
  Random random(7);
  for (int trial = 0; trial < 25; ++trial) {
    expectMatchesLayer<float>(random);
    expectMatchesLayer<double>(random);
  }
}

TEST(CompiledGraphTest, SameBitsForAllThreads) {
  GraphCase<float> graphCase(promptShape());
  graphCase.makeConstant(1);
  CompileOptions options;
  options.attention.measure = false;
  const Tensor<float> expected = graphCase.run(options);
  const ThreadsInScope threads(3);
  EXPECT_TRUE(isIdentical(graphCase.run(options), expected));
}

TEST(CompiledGraphTest, DropsKeysThatAConstantMaskExcludes) {
  CaseShape shape = promptShape();
  shape.context = Shape{2, 40, 12};
  shape.mask = Shape{2, 40};
  GraphCase<double> graphCase(shape);
  const Tensor<double> expected = graphCase.layerCase.forward();
  graphCase.makeConstant(1);
  CompiledGraph all(graphCase.source, {});
  graphCase.makeConstant(2);
  CompileOptions plain;
  plain.attention.association = Association::kPlain;
  CompiledGraph dropped(graphCase.source, plain);
  EXPECT_TRUE(isRelativelyNear(graphCase.run(dropped), expected, 1e-12));
  EXPECT_TRUE(isRelativelyNear(graphCase.run(all), expected, 1e-12));
  EXPECT_LT(dropped.flops(), all.flops());
  EXPECT_NE(dropped.plan(0).steps()[0]->describe().association.find("masked keys dropped"),
            std::string::npos);
}

TEST(CompiledGraphTest, RunsAllocateNothing) {
  const ThreadsInScope threads(2);
  for (const bool fuses : {true, false}) {
    for (const bool isConstant : {true, false}) {
      GraphCase<float> graphCase(promptShape());
      if (isConstant) graphCase.makeConstant(1);
      CompileOptions options;
      options.fuseAttention = fuses;
      CompiledGraph compiled(graphCase.source, options);
      const std::size_t bytes = memory::bytesInUse();
      memory::resetPeak();
      for (int run = 0; run < 50; ++run) graphCase.run(compiled);
      EXPECT_EQ(memory::bytesInUse(), bytes);
      EXPECT_EQ(memory::peakBytes(), bytes);
    }
  }
}

TEST(CompiledGraphTest, DoesNotOverwriteAnEarlierOutput) {
  GraphCase<float> graphCase(promptShape());
  CompiledGraph compiled(graphCase.source, {});
  const Tensor<float> first = graphCase.run(compiled);
  const Tensor<float> copy = first.clone();
  std::fill(graphCase.tensors[0].begin(), graphCase.tensors[0].end(), 0.F);
  const Tensor<float> second = graphCase.run(compiled);
  EXPECT_TRUE(isIdentical(first, copy));
  EXPECT_GT(largestDifference(first, second), 0);
}

TEST(CompiledGraphTest, FreesAllMemory) {
  const std::size_t before = memory::bytesInUse();
  {
    GraphCase<float> graphCase(promptShape());
    graphCase.makeConstant(1);
    CompiledGraph compiled(graphCase.source, {});
    graphCase.run(compiled);
    compiled.refresh();
    graphCase.run(compiled);
  }
  EXPECT_EQ(memory::bytesInUse(), before);
}

TEST(CompiledGraphTest, HoldsNoReferenceToInputsBetweenRuns) {
  GraphCase<float> graphCase(promptShape());
  CompiledGraph compiled(graphCase.source, {});
  const std::size_t bytes = memory::bytesInUse();
  {
    const std::vector<Tensor<float>> inputs{graphCase.tensors[0].clone(), graphCase.tensors[1].clone()};
    compiled.run(0, std::array<const AnyTensor*, 2>{&inputs[0], &inputs[1]});
  }
  EXPECT_EQ(memory::bytesInUse(), bytes);
}

TEST(CompiledGraphTest, RefusesToRunWithStaleConstants) {
  GraphCase<float> graphCase(promptShape());
  graphCase.makeConstant(1);
  CompiledGraph compiled(graphCase.source, {});
  const Tensor<float> before = graphCase.run(compiled);
  graphCase.layerCase.layer.setParameter("to_out.0.bias", Tensor<float>::full(Shape{32}, 5));
  EXPECT_TRUE(failsWith(ErrorCode::kArgument, [&] { graphCase.run(compiled); }));
  compiled.refresh();
  EXPECT_TRUE(isRelativelyNear(graphCase.run(compiled), graphCase.layerCase.forward(), 1e-5));
  EXPECT_GT(largestDifference(graphCase.run(compiled), before), 1);
}

TEST(CompiledGraphTest, RefusesToRunWithoutItsLayer) {
  compiler::Source source;
  std::optional<CompiledGraph> compiled;
  Tensor<float> input;
  Tensor<float> context;
  {
    const GraphCase<float> graphCase(promptShape());
    source = graphCase.source;
    input = graphCase.tensors[0];
    context = graphCase.tensors[1];
    compiled.emplace(source, CompileOptions{});
  }
  const std::array<const AnyTensor*, 2> inputs{&input, &context};
  EXPECT_TRUE(failsWith(ErrorCode::kArgument, [&] { compiled->run(0, inputs); }));
  EXPECT_TRUE(failsWith(ErrorCode::kArgument, [&] { compiled->refresh(); }));
  EXPECT_TRUE(failsWith(ErrorCode::kArgument, [&] { CompiledGraph(source, {}); }));
}

TEST(CompiledGraphTest, RefusesShapeMismatch) {
  GraphCase<float> graphCase(promptShape());
  CompiledGraph compiled(graphCase.source, {});
  const Tensor<float> other = Tensor<float>::zeros(Shape{1, 32, 3, 5});
  using Given = std::array<const AnyTensor*, 2>;
  EXPECT_TRUE(failsWith(ErrorCode::kShape, [&] { compiled.run(0, Given{&other, &graphCase.tensors[1]}); }));
  EXPECT_TRUE(failsWith(ErrorCode::kArgument, [&] {
    compiled.run(0, Given{&graphCase.tensors[0], nullptr});
  }));
  EXPECT_TRUE(isRelativelyNear(graphCase.run(compiled), graphCase.layerCase.forward(), 1e-5));
}

TEST(CompiledGraphTest, RunsOnBackgroundThreadAndInSlices) {
  const ThreadsInScope threads(2);
  GraphCase<float> graphCase(promptShape());
  CompileOptions plain;
  plain.fuseAttention = false;
  for (const CompileOptions& options : {CompileOptions{}, plain}) {
    CompiledGraph compiled(graphCase.source, options);
    const Tensor<float> expected = graphCase.run(compiled).clone();
    const auto sliced = compiled.start(0, graphCase.runInputs(compiled));
    while (!sliced->advance(0.01)) {
    }
    EXPECT_TRUE(isIdentical(Tensor<float>(sliced->result()), expected));
    const auto background = compiled.start(0, graphCase.runInputs(compiled));
    ASSERT_TRUE(background->runInBackground([] {}));
    // Another run first finishes the pending one.
    EXPECT_TRUE(isIdentical(graphCase.run(compiled), expected));
    EXPECT_TRUE(isIdentical(Tensor<float>(background->result()), expected));
  }
}

TEST(CompiledGraphTest, RunUsesTheParametersAtItsStart) {
  const ThreadsInScope threads(2);
  std::optional<GraphCase<float>> graphCase(promptShape());
  graphCase->makeConstant(1);
  CompiledGraph compiled(graphCase->source, {});
  const Tensor<float> expected(graphCase->run(compiled).clone());
  const auto changed = compiled.start(0, graphCase->runInputs(compiled));
  ASSERT_TRUE(changed->runInBackground([] {}));
  graphCase->layerCase.layer.setParameter("to_out.0.bias", Tensor<float>::full(Shape{32}, 100));
  EXPECT_TRUE(isIdentical(Tensor<float>(changed->result()), expected));
  compiled.refresh();
  const auto gone = compiled.start(0, graphCase->runInputs(compiled));
  graphCase.reset();
  EXPECT_GT(Tensor<float>(gone->result()).data()[0], 50);
}

TEST(CompiledGraphTest, StartedRunsExecuteInOrderWithTheParametersAtTheirStart) {
  const ThreadsInScope threads(2);
  for (const bool background : {false, true}) {
    std::optional<GraphCase<float>> graphCase(promptShape());
    graphCase->makeConstant(1);
    std::optional<CompiledGraph> compiled(std::in_place, graphCase->source, CompileOptions{});
    const Tensor<float> before(graphCase->run(*compiled).clone());
    std::vector<std::shared_ptr<compiler::PendingRun>> runs;
    const auto start = [&] { runs.push_back(compiled->start(0, graphCase->runInputs(*compiled))); };
    start();
    if (background) {
      ASSERT_TRUE(runs[0]->runInBackground([] {}));
    } else {
      runs[0]->advance(0.01);
    }
    start();
    start();
    graphCase->layerCase.layer.setParameter("to_out.0.bias", Tensor<float>::full(Shape{32}, 100));
    EXPECT_THROW(start(), Error);
    compiled->refresh();
    const Tensor<float> after(graphCase->run(*compiled).clone());
    start();
    start();
    // The last one is finished first: it finishes those before it.
    EXPECT_TRUE(isIdentical(Tensor<float>(runs.back()->result()), after));
    start();
    start();
    compiled.reset();
    for (std::size_t run = 0; run < runs.size(); ++run) {
      EXPECT_FALSE(runs[run]->runInBackground([] {}));
      EXPECT_TRUE(runs[run]->advance(1));
      EXPECT_TRUE(isIdentical(Tensor<float>(runs[run]->result()), run < 3 ? before : after)) << run;
    }
  }
}

TEST(CompiledGraphTest, ComposesLayersWithOneContext) {
  CaseShape wide = promptShape();
  wide.queryDim = 48;
  wide.height = 6;
  wide.seed = 3;
  GraphCase<float> first(promptShape());
  const GraphCase<float> second(wide);
  compiler::Source source;
  graph::NodeInputs inputs;
  layer::GraphOptions options{.name = "first", .input = "input.0", .tokens = "tokens.0"};
  source.outputs = {exportComputationGraph(first.layerCase.layer, options, inputs)};
  options = {.name = "second", .input = "input.1", .tokens = "tokens.1", .context = inputs[1]};
  graph::NodeInputs more;
  source.outputs.push_back(exportComputationGraph(second.layerCase.layer, options, more));
  ASSERT_EQ(more.size(), 1U);
  source.inputs = {inputs[0], more[0], inputs[1]};
  source.tensors = {compiler::placeholder(first.layerCase.input.shape()),
                    compiler::placeholder(second.layerCase.input.shape()), *first.layerCase.context};
  source.constants = {2};
  CompiledGraph compiled(source, {});
  const std::array<const AnyTensor*, 1> firstInput{&first.layerCase.input};
  const std::array<const AnyTensor*, 1> secondInput{&second.layerCase.input};
  EXPECT_EQ(compiled.outputs(), 2U);
  LayerCase<float> other(wide);
  EXPECT_TRUE(isRelativelyNear(Tensor<float>(compiled.run(0, firstInput)), first.layerCase.forward(), 1e-5));
  EXPECT_TRUE(isRelativelyNear(Tensor<float>(compiled.run(1, secondInput)),
                               other.layer.forward(second.layerCase.input, &*first.layerCase.context), 1e-5));
}

TEST(CompiledGraphTest, CopiesAnInputThatIsTheOutput) {
  const auto input = graph::Node::input("x", graph::ElementType::kFloat32, {"batch", 3});
  CompiledGraph compiled({{input}, {input}, {compiler::placeholder(Shape{2, 3})}, {}}, {});
  const Tensor<float> values = Tensor<float>::full(Shape{2, 3}, 4);
  const Tensor<float> output(compiled.run(0, std::array<const AnyTensor*, 1>{&values}));
  EXPECT_TRUE(isIdentical(output, values));
  EXPECT_NE(output.data(), values.data());
}

}  // namespace cross_attention::test::compiler_compiled_graph_test
