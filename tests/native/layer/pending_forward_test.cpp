#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "support/comparison.hpp"
#include "support/layer_case.hpp"
#include "support/threads.hpp"

namespace cross_attention::test::layer_pending_forward_test {

namespace {

CaseShape callShape() {
  CaseShape shape;
  shape.queryDim = 32;
  shape.numHeads = 4;
  shape.height = 20;
  shape.width = 30;
  shape.context = Shape{50, 16};
  return shape;
}

template <class T>
auto start(LayerCase<T>& layerCase) {
  return layerCase.layer.startForward(layerCase.input, layerCase.contextPointer(), layerCase.mask);
}

/// Waits until the background thread has finished all earlier jobs.
void awaitBackgroundThread() {
  std::promise<void> idle;
  ThreadPool::shared().runInBackground([&idle] { idle.set_value(); });
  idle.get_future().get();
}

}  // namespace

/// With 1 and 2 threads. Only in float32, because none of this depends on the dtype.
class PendingForwardTest : public testing::TestWithParam<int> {
 protected:
  ThreadsInScope threads_{GetParam()};
  LayerCase<float> layerCase_{callShape()};
  const Tensor<float> expected_ = LayerCase<float>(callShape()).forward();
};
INSTANTIATE_TEST_SUITE_P(Threads, PendingForwardTest, testing::Values(1, 2));

TEST_P(PendingForwardTest, ResultFinishesTheWork) {
  EXPECT_TRUE(isIdentical(start(layerCase_)->result(), expected_));
  const auto sliced = start(layerCase_);
  EXPECT_FALSE(sliced->advance(0));
  EXPECT_TRUE(isIdentical(sliced->result(), expected_));
  EXPECT_TRUE(sliced->advance(0));
  const auto background = start(layerCase_);
  ASSERT_TRUE(background->runInBackground([] {}));
  EXPECT_TRUE(isIdentical(background->result(), expected_));
  // A second call returns the same.
  EXPECT_TRUE(isIdentical(background->result(), expected_));
}

TEST_P(PendingForwardTest, SeveralAtTheSameTime) {
  std::vector<std::shared_ptr<layer::DiffusionCrossAttention<float>::PendingForward>> all;
  std::atomic<int> done = 0;
  for (int number = 0; number < 6; ++number) {
    all.push_back(start(layerCase_));
    // In the background, in slices, or not started. Never two of these, because only one thread may run a
    // schedule.
    if (number % 2 == 0) {
      ASSERT_TRUE(all.back()->runInBackground([&done] { ++done; }));
    } else if (number > 1) {
      all.back()->advance(0.05);
    }
  }
  for (auto pending = all.rbegin(); pending != all.rend(); ++pending) {
    EXPECT_TRUE(isIdentical((*pending)->result(), expected_));
  }
  awaitBackgroundThread();
  EXPECT_EQ(done, 3);
}

TEST_P(PendingForwardTest, BackwardBelongsToTheLastCallNotTheLastToFinish) {
  layerCase_.layer.setTraining(true);
  const Tensor<float> zeros = Tensor<float>::full(layerCase_.input.shape(), 0);
  const auto backward = [this] {
    layerCase_.layer.clearGradients();
    return layerCase_.layer.backward(Tensor<float>::full(layerCase_.input.shape(), 1)).clone();
  };
  layerCase_.forward();
  const Tensor<float> expected = backward();
  const auto earlier = layerCase_.layer.startForward(zeros, layerCase_.contextPointer(), layerCase_.mask);
  layerCase_.forward();
  earlier->result();
  EXPECT_TRUE(isIdentical(backward(), expected));
}

TEST_P(PendingForwardTest, UsesTheParametersAtItsStart) {
  for (const bool inBackground : {false, true}) {
    LayerCase<float> layerCase(callShape());
    const auto pending = start(layerCase);
    if (inBackground) {
      ASSERT_TRUE(pending->runInBackground([] {}));
    }
    layerCase.layer.setParameter("to_out.0.bias", Tensor<float>::full(Shape{32}, 100));
    EXPECT_TRUE(isIdentical(pending->result(), expected_));
    EXPECT_GT(layerCase.forward().data()[0], 50);
  }
}

TEST_P(PendingForwardTest, IsFinishedByUpdateResetAndBackward) {
  layerCase_.layer.setTraining(true);
  const Tensor<float> gradient = LayerCase<float>(callShape()).forwardAndBackward();
  const auto pending = start(layerCase_);
  // backward finishes the training forward pass that was started before.
  EXPECT_TRUE(isIdentical(layerCase_.layer.backward(layerCase_.outputGradient), gradient));
  EXPECT_TRUE(isIdentical(pending->result(), expected_));
  const auto second = start(layerCase_);
  layerCase_.layer.updateParameters(0.1);
  EXPECT_TRUE(isIdentical(second->result(), expected_));
  const auto third = start(layerCase_);
  layerCase_.layer.resetState();
  EXPECT_TRUE(failsWith(ErrorCode::kArgument, [&] { layerCase_.layer.backward(layerCase_.outputGradient); }));
  EXPECT_EQ(third->result().size(), expected_.size());
}

TEST_P(PendingForwardTest, ADroppedForwardHasNoEffect) {
  const std::size_t before = memory::bytesInUse();
  {
    LayerCase<float> layerCase(callShape());
    layerCase.layer.setTraining(true);
    start(layerCase);
    start(layerCase)->advance(0.01);
    EXPECT_TRUE(failsWith(ErrorCode::kArgument, [&] { layerCase.layer.backward(layerCase.outputGradient); }));
    EXPECT_TRUE(isIdentical(layerCase.forward(), expected_));
  }
  EXPECT_EQ(memory::bytesInUse(), before);
}

TEST_P(PendingForwardTest, ADroppedForwardInTheBackgroundIsWaitedFor) {
  for (int round = 0; round < 20; ++round) {
    std::atomic<bool> done = false;
    {
      LayerCase<float> layerCase(callShape());
      const auto pending = start(layerCase);
      ASSERT_TRUE(pending->runInBackground([&done] { done = true; }));
    }
    awaitBackgroundThread();
    EXPECT_TRUE(done);
  }
}

TEST_P(PendingForwardTest, OutlivesItsLayer) {
  for (const bool inBackground : {false, true}) {
    auto layerCase = std::make_unique<LayerCase<float>>(callShape());
    const auto pending = start(*layerCase);
    if (inBackground) {
      ASSERT_TRUE(pending->runInBackground([] {}));
    }
    layerCase.reset();
    EXPECT_TRUE(isIdentical(pending->result(), expected_));
    awaitBackgroundThread();
  }
}

TEST_P(PendingForwardTest, FreesItsMemoryAfterItWasFinishedAndDropped) {
  const auto runAndDrop = [&](const std::function<void()>& inDone, const std::function<void()>& atDone) {
    LayerCase<float> layerCase(callShape());
    const auto pending = start(layerCase);
    ASSERT_TRUE(pending->runInBackground(inDone));
    atDone();
    EXPECT_TRUE(isIdentical(pending->result(), expected_));
  };
  // The first run allocates the scratch of the background thread.
  runAndDrop([] {}, [] {});
  awaitBackgroundThread();
  const std::size_t before = memory::bytesInUse();
  // The background thread returns late from `done`; the owner does not wait for that.
  std::promise<void> reachedDone;
  std::promise<void> mayEnd;
  runAndDrop(
      [&] {
        reachedDone.set_value();
        mayEnd.get_future().get();
      },
      [&] { reachedDone.get_future().get(); });
  EXPECT_EQ(memory::bytesInUse(), before);
  mayEnd.set_value();
  awaitBackgroundThread();
  EXPECT_EQ(memory::bytesInUse(), before);
}

TEST_P(PendingForwardTest, TheInputMayBeFreedBeforeItIsFinished) {
  auto input = std::make_unique<Tensor<float>>(layerCase_.input.clone());
  const auto pending = layerCase_.layer.startForward(*input, layerCase_.contextPointer());
  input.reset();
  EXPECT_TRUE(isIdentical(pending->result(), expected_));
}

}  // namespace cross_attention::test::layer_pending_forward_test
