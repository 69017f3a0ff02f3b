#include <gtest/gtest.h>

#include <new>
#include <tuple>

#include "allocation/failing_allocations.hpp"
#include "support/comparison.hpp"
#include "support/folding.hpp"
#include "support/graph_case.hpp"
#include "support/layer_case.hpp"
#include "support/threads.hpp"
#include "support/weight_files.hpp"

/// Each call of the layer with each of its allocations failing in turn: it throws Error(kOutOfMemory) or
/// std::bad_alloc, and the layer is as if the call had never been.
namespace cross_attention::test::allocation_failing_allocation_test {

namespace {

using FloatCase = LayerCase<float>;

/// One head folds (see layer::foldsContext), four do not.
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

/// A layer before the call: after a training forward and its backward, so that there is much that could be lost.
struct Prepared {
  explicit Prepared(bool folded) : one(callShape(folded)) {}

  FloatCase one;
  Tensor<float> inputGradient = one.forwardAndBackward();
  std::vector<float> parameters{one.layer.parameters().values().begin(),
                                one.layer.parameters().values().end()};
  std::vector<float> gradients = one.parameterGradients();
  std::size_t bytes = memory::bytesInUse();

  /// All that can be asked of the layer is as it was.
  void expectUnchanged() {
    EXPECT_TRUE(isIdentical(one.layer.parameters().values(), parameters));
    EXPECT_TRUE(isIdentical(one.parameterGradients(), gradients));
    ASSERT_TRUE(one.layer.contextGradient());
    EXPECT_EQ(one.layer.contextGradient()->shape(), *one.shape.context);
    // The last training forward is the one from before.
    one.layer.clearGradients();
    EXPECT_TRUE(isIdentical(one.layer.backward(one.outputGradient), inputGradient));
    EXPECT_TRUE(isIdentical(one.parameterGradients(), gradients));
  }
};

using Call = std::function<void(FloatCase&)>;

void expectCallIsSafe(bool folded, const Call& call) {
  // Of a layer that is gone again: all layers share their scratch, which shall go with each of those below.
  const Tensor<float> expectedOutput = FloatCase(callShape(folded)).forward();
  long failures = 0;
  for (long number = 1;; ++number) {
    ASSERT_LT(number, 5000) << "no end of allocations";
    SCOPED_TRACE("allocation " + std::to_string(number));
    const std::size_t before = memory::bytesInUse();
    {
      Prepared prepared(folded);
      bool complete = false;
      try {
        complete = !failAllocation(number, [&] { call(prepared.one); });
        // An allocation may fail without anybody's harm: where it is only tried.
      } catch (const Error& error) {
        ++failures;
        ASSERT_EQ(error.code(), ErrorCode::kOutOfMemory) << error.message();
        prepared.expectUnchanged();
        prepared.one.layer.setTraining(false);
        EXPECT_TRUE(isIdentical(prepared.one.forward(), expectedOutput));
      } catch (const std::bad_alloc&) {
        ++failures;
        prepared.expectUnchanged();
        prepared.one.layer.setTraining(false);
        EXPECT_TRUE(isIdentical(prepared.one.forward(), expectedOutput));
      }
      if (complete) break;
    }
    ASSERT_EQ(memory::bytesInUse(), before);
    if (testing::Test::HasFailure()) break;
  }
  EXPECT_GT(failures, 0);
  std::printf("%ld allocations failed in turn\n", failures);
}

/// Another input than the prepared training forward had.
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
                         testing::Combine(testing::Values(1, 2), testing::Bool()),
                         [](const auto& test) {
                           return std::to_string(std::get<0>(test.param)) +
                                  (std::get<1>(test.param) ? "Folded" : "");
                         });

TEST_P(FailingAllocationTest, TheLayerFoldsWhereItIsSaidTo) {
  EXPECT_EQ(foldsContext(FloatCase(callShape(folded()))), folded());
}

TEST_P(FailingAllocationTest, Forward) {
  expectSafe([](FloatCase& one) {
    one.layer.setTraining(false);
    one.layer.forward(one.input, one.contextPointer(), one.mask);
  });
}

TEST_P(FailingAllocationTest, ForwardWithTheContextReady) {
  expectSafe([](FloatCase& one) {
    one.layer.setTraining(false);
    const Tensor<float> first = one.layer.forward(one.input, one.contextPointer(), one.mask);
    one.layer.forward(first, one.contextPointer(), one.mask);
  });
}

TEST_P(FailingAllocationTest, TrainingForward) {
  const Tensor<float> input = otherInput();
  expectSafe([&](FloatCase& one) { one.layer.forward(input, one.contextPointer(), one.mask); });
}

TEST_P(FailingAllocationTest, ForwardInSlices) {
  const Tensor<float> input = otherInput();
  expectSafe([&](FloatCase& one) {
    const auto pending = one.layer.startForward(input, one.contextPointer(), one.mask);
    while (!pending->advance(0.05)) {
    }
    pending->result();
  });
}

TEST_P(FailingAllocationTest, ForwardBehind) {
  const Tensor<float> input = otherInput();
  expectSafe([&](FloatCase& one) {
    const auto pending = one.layer.startForward(input, one.contextPointer(), one.mask);
    pending->runBehind([] {});
    pending->result();
  });
}

TEST_P(FailingAllocationTest, Backward) {
  expectSafe([](FloatCase& one) { one.layer.backward(one.input); });
}

/// The first one packs weights of its own. Each attempt is on the same layer.
TEST_P(FailingAllocationTest, FirstBackward) {
  FloatCase one(callShape(folded()));
  const Tensor<float> expected = one.forwardAndBackward();
  const std::vector<float> gradients = one.parameterGradients();
  long failures = 0;
  for (long number = 1;; ++number) {
    ASSERT_LT(number, 5000) << "no end of allocations";
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
  expectSafe([](FloatCase& one) {
    one.layer.attentionMaps(one.input, one.contextPointer(), one.mask, layer::MapHeads::kAll);
  });
}

TEST_P(FailingAllocationTest, LoadWeights) {
  const File file =
      saveLayer(layer::DiffusionCrossAttention<float>(configurationOf(8, 6, 2, 9)), "F16");
  expectSafe([&](FloatCase& one) {
    const auto candidates = candidatesOf<float>(weights::readSafetensors(file));
    weights::loadWeights<float>(one.layer, std::span<const weights::Candidate<float>>(candidates),
                                true);
  });
}

TEST_P(FailingAllocationTest, SaveWeights) {
  expectSafe([](FloatCase& one) { saveLayer(one.layer, "BF16", "attn2."); });
}

TEST_P(FailingAllocationTest, ANewLayer) {
  expectSafe([&](FloatCase&) { FloatCase{callShape(folded())}; });
}

TEST_P(FailingAllocationTest, SetParametersAndUpdateAllocateNothing) {
  Prepared prepared(folded());
  const std::vector<float> values(prepared.parameters.size(), 0.5f);
  EXPECT_FALSE(
      failAllocation(1, [&] { prepared.one.layer.setParameters(std::span<const float>(values)); }));
  EXPECT_TRUE(isIdentical(prepared.one.layer.parameters().values(), values));
  EXPECT_FALSE(failAllocation(1, [&] { prepared.one.layer.updateParameters(0); }));
  const Tensor<float> bias = Tensor<float>::zeros(Shape{8});
  EXPECT_FALSE(failAllocation(1, [&] {
    prepared.one.layer.setParameter(layer::ParameterId::kOutputBias, {bias.data(), 8});
  }));
  EXPECT_FALSE(failAllocation(1, [&] { prepared.one.layer.clearGradients(); }));
  EXPECT_FALSE(failAllocation(1, [&] { prepared.one.layer.resetState(); }));
}

TEST_P(FailingAllocationTest, CompileLeavesNothingBehind) {
  const Tensor<float> expected = FloatCase(callShape(folded())).forward();
  bool complete = false;
  long number = 0;
  while (!complete && !HasFailure()) {
    SCOPED_TRACE("allocation " + std::to_string(++number));
    ASSERT_LT(number, 5000) << "no end of allocations";
    const std::size_t before = memory::bytesInUse();
    {
      GraphCase<float> one(callShape(folded()));
      one.keep(1);
      Tensor<float> output;
      try {
        complete = !failAllocation(number, [&] { output = one.run({}); });
      } catch (const Error& error) {
        ASSERT_EQ(error.code(), ErrorCode::kOutOfMemory) << error.message();
      } catch (const std::bad_alloc&) {
      }
      if (complete) {
        EXPECT_TRUE(isRelativelyNear(output, expected, 1e-5));
      }
      // The layer is as usable as before.
      EXPECT_TRUE(isIdentical(one.one.forward(), expected));
    }
    EXPECT_EQ(memory::bytesInUse(), before);
  }
  EXPECT_GT(number, 20);
}

TEST_P(FailingAllocationTest, RefreshThatFailsLeavesTheOldPlan) {
  bool complete = false;
  for (long number = 1; !complete && !HasFailure(); ++number) {
    SCOPED_TRACE("allocation " + std::to_string(number));
    ASSERT_LT(number, 5000) << "no end of allocations";
    GraphCase<float> one(callShape(folded()));
    one.keep(1);
    compiler::CompiledGraph compiled(one.source, {});
    one.one.layer.setParameter("to_out.0.bias", Tensor<float>::full(Shape{8}, 5));
    try {
      complete = !failAllocation(number, [&] { compiled.refresh(); });
    } catch (const Error& error) {
      ASSERT_EQ(error.code(), ErrorCode::kOutOfMemory) << error.message();
      EXPECT_TRUE(failsWith(ErrorCode::kArgument, [&] { one.run(compiled); }));
      compiled.refresh();
    } catch (const std::bad_alloc&) {
      EXPECT_TRUE(failsWith(ErrorCode::kArgument, [&] { one.run(compiled); }));
      compiled.refresh();
    }
    EXPECT_TRUE(isRelativelyNear(one.run(compiled), one.one.forward(), 1e-5));
  }
}

}  // namespace cross_attention::test::allocation_failing_allocation_test
