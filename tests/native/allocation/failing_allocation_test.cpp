#include <gtest/gtest.h>

#include <array>
#include <new>
#include <tuple>

#include "allocation/failing_allocations.hpp"
#include "layer/adam_optimizer.hpp"
#include "layer/attention_recorder.hpp"
#include "support/comparison.hpp"
#include "support/folding.hpp"
#include "support/graph_case.hpp"
#include "support/layer_case.hpp"
#include "support/threads.hpp"
#include "support/weight_files.hpp"

/// Runs each method of the layer and lets each of its allocations fail in turn. The call must throw
/// Error(kOutOfMemory) or std::bad_alloc and must leave the layer unchanged.
namespace cross_attention::test::allocation_failing_allocation_test {

namespace {

using FloatCase = LayerCase<float>;

/// One head folds (see layer::foldsContext); four heads do not.
CaseShape callShape(bool folded) {
  CaseShape shape;
  shape.batch = 2;
  shape.height = 7;
  shape.width = 9;
  shape.numHeads = folded ? 1 : 4;
  shape.context = Shape{2, 7, 6};
  shape.mask = Shape{2, 7};
  return shape;
}

/// A layer before the call. It has run a training forward and its backward pass, so there is state to lose.
struct Prepared {
  explicit Prepared(bool folded) : layerCase(callShape(folded)) {}

  FloatCase layerCase;
  Tensor<float> inputGradient = layerCase.forwardAndBackward();
  std::vector<float> parameters{layerCase.layer.parameters().values().begin(),
                                layerCase.layer.parameters().values().end()};
  std::vector<float> gradients = layerCase.parameterGradients();
  std::size_t bytes = memory::bytesInUse();

  /// Expects the observable state of the layer to be unchanged.
  void expectUnchanged() {
    EXPECT_TRUE(isIdentical(layerCase.layer.parameters().values(), parameters));
    EXPECT_TRUE(isIdentical(layerCase.parameterGradients(), gradients));
    ASSERT_TRUE(layerCase.layer.contextGradient());
    EXPECT_EQ(layerCase.layer.contextGradient()->shape(), *layerCase.shape.context);
    // The last training forward is still the one before the call.
    layerCase.layer.clearGradients();
    EXPECT_TRUE(isIdentical(layerCase.layer.backward(layerCase.outputGradient), inputGradient));
    EXPECT_TRUE(isIdentical(layerCase.parameterGradients(), gradients));
  }
};

using Call = std::function<void(FloatCase&)>;

void expectCallIsSafe(bool folded, const Call& call) {
  // This layer is destroyed at once: all layers share their scratch memory, which must be freed with each of
  // the layers below.
  const Tensor<float> expectedOutput = FloatCase(callShape(folded)).forward();
  long failures = 0;
  for (long number = 1;; ++number) {
    ASSERT_LT(number, 5000) << "too many allocations";
    SCOPED_TRACE("allocation " + std::to_string(number));
    const std::size_t before = memory::bytesInUse();
    {
      Prepared prepared(folded);
      bool complete = false;
      try {
        complete = !failAllocation(number, [&] { call(prepared.layerCase); });
        // A failed allocation may have no effect if the caller has a fallback.
      } catch (const Error& error) {
        ++failures;
        ASSERT_EQ(error.code(), ErrorCode::kOutOfMemory) << error.message();
        prepared.expectUnchanged();
        prepared.layerCase.layer.setTraining(false);
        EXPECT_TRUE(isIdentical(prepared.layerCase.forward(), expectedOutput));
      } catch (const std::bad_alloc&) {
        ++failures;
        prepared.expectUnchanged();
        prepared.layerCase.layer.setTraining(false);
        EXPECT_TRUE(isIdentical(prepared.layerCase.forward(), expectedOutput));
      }
      if (complete) break;
    }
    ASSERT_EQ(memory::bytesInUse(), before);
    if (testing::Test::HasFailure()) break;
  }
  EXPECT_GT(failures, 0);
  std::printf("%ld allocations failed in turn\n", failures);
}

/// Returns an input that differs from that of the prepared training forward.
Tensor<float> otherInput() {
  Random random(77);
  return normalTensor<float>(random, callShape(false).inputShape());
}

}  // namespace

/// Number of threads, and whether the layer folds its context.
class FailingAllocationTest : public testing::TestWithParam<std::tuple<int, bool>> {
 protected:
  bool folded() const { return std::get<1>(GetParam()); }
  void expectSafe(const Call& call) { expectCallIsSafe(folded(), call); }

  ThreadsInScope threads_{std::get<0>(GetParam())};
};
INSTANTIATE_TEST_SUITE_P(Threads, FailingAllocationTest,
                         testing::Combine(testing::Values(1, 2), testing::Bool()), [](const auto& test) {
                           return std::to_string(std::get<0>(test.param)) +
                                  (std::get<1>(test.param) ? "Folded" : "");
                         });

TEST_P(FailingAllocationTest, FoldsAsExpected) {
  EXPECT_EQ(foldsContext(FloatCase(callShape(folded()))), folded());
}

TEST_P(FailingAllocationTest, Forward) {
  expectSafe([](FloatCase& layerCase) {
    layerCase.layer.setTraining(false);
    layerCase.layer.forward(layerCase.input, layerCase.contextPointer(), layerCase.mask);
  });
}

TEST_P(FailingAllocationTest, ForwardWithCachedContext) {
  expectSafe([](FloatCase& layerCase) {
    layerCase.layer.setTraining(false);
    const Tensor<float> first =
        layerCase.layer.forward(layerCase.input, layerCase.contextPointer(), layerCase.mask);
    layerCase.layer.forward(first, layerCase.contextPointer(), layerCase.mask);
  });
}

TEST_P(FailingAllocationTest, TrainingForward) {
  const Tensor<float> input = otherInput();
  expectSafe([&](FloatCase& layerCase) {
    layerCase.layer.forward(input, layerCase.contextPointer(), layerCase.mask);
  });
}

TEST_P(FailingAllocationTest, ForwardInSlices) {
  const Tensor<float> input = otherInput();
  expectSafe([&](FloatCase& layerCase) {
    const auto pending = layerCase.layer.startForward(input, layerCase.contextPointer(), layerCase.mask);
    while (!pending->advance(0.05)) {
    }
    pending->result();
  });
}

TEST_P(FailingAllocationTest, ForwardOnBackgroundThread) {
  const Tensor<float> input = otherInput();
  expectSafe([&](FloatCase& layerCase) {
    const auto pending = layerCase.layer.startForward(input, layerCase.contextPointer(), layerCase.mask);
    pending->runInBackground([] {});
    pending->result();
  });
}

/// The recorder outlives the failed calls, which leave nothing in it.
TEST_P(FailingAllocationTest, RecordedForward) {
  const Tensor<float> input = otherInput();
  layer::AttentionRecorder recorder(4, {{1}, {2, 3}});
  expectSafe([&](FloatCase& layerCase) {
    recorder.reset();
    const auto pending =
        layerCase.layer.startForward(input, layerCase.contextPointer(), layerCase.mask,
                                     {.recorder = &recorder, .name = "name", .conditional = true});
    pending->result();
    EXPECT_EQ(recorder.calls(), 1);
    recorder.reset();
  });
}

TEST_P(FailingAllocationTest, Backward) {
  expectSafe([](FloatCase& layerCase) { layerCase.layer.backward(layerCase.input); });
}

/// The first backward pass also packs weights. Each failed attempt is repeated on the same layer.
TEST_P(FailingAllocationTest, FirstBackward) {
  FloatCase layerCase(callShape(folded()));
  const Tensor<float> expected = layerCase.forwardAndBackward();
  const std::vector<float> gradients = layerCase.parameterGradients();
  long failures = 0;
  for (long number = 1;; ++number) {
    ASSERT_LT(number, 5000) << "too many allocations";
    SCOPED_TRACE("allocation " + std::to_string(number));
    FloatCase fresh(callShape(folded()));
    fresh.layer.setTraining(true);
    fresh.forward();
    bool complete = false;
    try {
      complete = !failAllocation(number, [&] { fresh.layer.backward(fresh.outputGradient); });
    } catch (const std::exception&) {
      ++failures;
      ASSERT_EQ(largestMagnitude(fresh.parameterGradients()), 0);
      ASSERT_FALSE(fresh.layer.contextGradient());
      ASSERT_TRUE(isIdentical(fresh.layer.backward(fresh.outputGradient), expected));
    }
    ASSERT_TRUE(isIdentical(fresh.parameterGradients(), gradients));
    if (complete) break;
  }
  EXPECT_GT(failures, 0);
  std::printf("%ld allocations failed in turn\n", failures);
}

TEST_P(FailingAllocationTest, AttentionMaps) {
  expectSafe([](FloatCase& layerCase) {
    layerCase.layer.attentionMaps(layerCase.input, layerCase.contextPointer(), layerCase.mask,
                                  layer::MapHeads::kAll);
  });
}

TEST_P(FailingAllocationTest, LoadWeights) {
  const File file = saveLayer(layer::DiffusionCrossAttention<float>(configurationOf(8, 6, 2, 9)), "F16");
  expectSafe([&](FloatCase& layerCase) {
    const auto tensors = weights::readSafetensors(file);
    auto tensor = tensors.begin();
    for (const layer::ParameterId id : layerCase.layer.parameters().layout().ids()) {
      weights::decode(*tensor++, layerCase.layer.overwriteParameter(id));
    }
  });
}

/// As bindings/package/loras.ts loads a LoRA: what was added is removed if its scale cannot be set.
TEST_P(FailingAllocationTest, LoadLora) {
  Random random(78);
  const auto down = normalTensor<float>(random, Shape{2, 8});
  const auto up = normalTensor<float>(random, Shape{8, 2});
  expectSafe([&](FloatCase& layerCase) {
    layerCase.layer.addLora();
    try {
      layerCase.layer.addLoraUpdate({layer::ParameterId::kQuery, down, up, 1});
      layerCase.layer.setLoraScales(std::array{1.0});
    } catch (...) {
      layerCase.layer.removeLora(0);
      throw;
    }
  });
}

/// The first call with a LoRA computes the effective weights.
TEST_P(FailingAllocationTest, ForwardWithLora) {
  Random random(79);
  const auto down = normalTensor<float>(random, Shape{2, 8});
  const auto up = normalTensor<float>(random, Shape{8, 2});
  const auto load = [&](FloatCase& layerCase) {
    layerCase.layer.addLora();
    layerCase.layer.addLoraUpdate({layer::ParameterId::kQuery, down, up, 1});
    layerCase.layer.setLoraScales(std::array{1.0});
  };
  FloatCase expected(callShape(folded()));
  load(expected);
  const Tensor<float> output = expected.forward();
  long failures = 0;
  for (long number = 1;; ++number) {
    ASSERT_LT(number, 5000) << "too many allocations";
    SCOPED_TRACE("allocation " + std::to_string(number));
    FloatCase fresh(callShape(folded()));
    load(fresh);
    bool complete = false;
    try {
      complete = !failAllocation(number, [&] { fresh.forward(); });
    } catch (const std::exception&) {
      ++failures;
    }
    ASSERT_TRUE(isIdentical(fresh.forward(), output));
    if (complete) break;
  }
  EXPECT_GT(failures, 0);
}

TEST_P(FailingAllocationTest, SaveWeights) {
  expectSafe([](FloatCase& layerCase) { saveLayer(layerCase.layer, "BF16", "attn2."); });
}

TEST_P(FailingAllocationTest, Construction) {
  expectSafe([&](FloatCase&) { FloatCase{callShape(folded())}; });
}

TEST_P(FailingAllocationTest, AdamOptimizer) {
  expectSafe([](FloatCase& layerCase) {
    layer::AdamOptimizer<float> optimizer;
    optimizer.add(layerCase.layer.parameters(), layer::ParameterId::kQuery);
    optimizer.add(layerCase.layer.parameters(), layer::ParameterId::kOutputBias);
    layerCase.layer.updateParameters(optimizer, {});
  });
}

TEST_P(FailingAllocationTest, SetParametersAndUpdateAllocateNothing) {
  Prepared prepared(folded());
  const std::vector<float> values(prepared.parameters.size(), 0.5f);
  EXPECT_FALSE(
      failAllocation(1, [&] { prepared.layerCase.layer.setParameters(std::span<const float>(values)); }));
  EXPECT_TRUE(isIdentical(prepared.layerCase.layer.parameters().values(), values));
  EXPECT_FALSE(failAllocation(1, [&] { prepared.layerCase.layer.updateParameters(0); }));
  const Tensor<float> bias = Tensor<float>::zeros(Shape{8});
  EXPECT_FALSE(failAllocation(1, [&] {
    prepared.layerCase.layer.setParameter(layer::ParameterId::kOutputBias, {bias.data(), 8});
  }));
  EXPECT_FALSE(failAllocation(1, [&] { prepared.layerCase.layer.clearGradients(); }));
  EXPECT_FALSE(failAllocation(1, [&] { prepared.layerCase.layer.resetState(); }));
}

TEST_P(FailingAllocationTest, FailedCompileFreesItsMemory) {
  const Tensor<float> expected = FloatCase(callShape(folded())).forward();
  bool complete = false;
  long number = 0;
  while (!complete && !HasFailure()) {
    SCOPED_TRACE("allocation " + std::to_string(++number));
    ASSERT_LT(number, 5000) << "too many allocations";
    const std::size_t before = memory::bytesInUse();
    {
      GraphCase<float> graphCase(callShape(folded()));
      graphCase.makeConstant(1);
      Tensor<float> output;
      try {
        complete = !failAllocation(number, [&] { output = graphCase.run({}); });
      } catch (const Error& error) {
        ASSERT_EQ(error.code(), ErrorCode::kOutOfMemory) << error.message();
      } catch (const std::bad_alloc&) {
      }
      if (complete) {
        EXPECT_TRUE(isRelativelyNear(output, expected, 1e-5));
      }
      // The layer still works.
      EXPECT_TRUE(isIdentical(graphCase.layerCase.forward(), expected));
    }
    EXPECT_EQ(memory::bytesInUse(), before);
  }
  EXPECT_GT(number, 20);
}

TEST_P(FailingAllocationTest, FailedRefreshCanBeRepeated) {
  bool complete = false;
  for (long number = 1; !complete && !HasFailure(); ++number) {
    SCOPED_TRACE("allocation " + std::to_string(number));
    ASSERT_LT(number, 5000) << "too many allocations";
    GraphCase<float> graphCase(callShape(folded()));
    graphCase.makeConstant(1);
    compiler::CompiledGraph compiled(graphCase.source, {});
    graphCase.layerCase.layer.setParameter("to_out.0.bias", Tensor<float>::full(Shape{8}, 5));
    try {
      complete = !failAllocation(number, [&] { compiled.refresh(); });
    } catch (const Error& error) {
      ASSERT_EQ(error.code(), ErrorCode::kOutOfMemory) << error.message();
      EXPECT_TRUE(failsWith(ErrorCode::kArgument, [&] { graphCase.run(compiled); }));
      compiled.refresh();
    } catch (const std::bad_alloc&) {
      EXPECT_TRUE(failsWith(ErrorCode::kArgument, [&] { graphCase.run(compiled); }));
      compiled.refresh();
    }
    EXPECT_TRUE(isRelativelyNear(graphCase.run(compiled), graphCase.layerCase.forward(), 1e-5));
  }
}

}  // namespace cross_attention::test::allocation_failing_allocation_test
