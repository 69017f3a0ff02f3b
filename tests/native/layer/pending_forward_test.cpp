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
auto start(LayerCase<T>& one) {
  return one.layer.startForward(one.input, one.contextPointer(), one.mask);
}

/// Waits until all earlier jobs behind are over.
void awaitThreadBehind() {
  std::promise<void> idle;
  ThreadPool::shared().runInBackground([&idle] { idle.set_value(); });
  idle.get_future().get();
}

}  // namespace

/// With 1 and 2 threads; all of it in float32, for nothing here depends on the dtype.
class PendingForwardTest : public testing::TestWithParam<int> {
 protected:
  ThreadsInScope threads_{GetParam()};
  LayerCase<float> one_{callShape()};
  const Tensor<float> expected_ = LayerCase<float>(callShape()).forward();
};
INSTANTIATE_TEST_SUITE_P(Threads, PendingForwardTest, testing::Values(1, 2));

TEST_P(PendingForwardTest, ResultFinishesWhatIsLeft) {
  EXPECT_TRUE(isIdentical(start(one_)->result(), expected_));
  const auto sliced = start(one_);
  EXPECT_FALSE(sliced->advance(0));
  EXPECT_TRUE(isIdentical(sliced->result(), expected_));
  EXPECT_TRUE(sliced->advance(0));
  const auto behind = start(one_);
  ASSERT_TRUE(behind->runInBackground([] {}));
  EXPECT_TRUE(isIdentical(behind->result(), expected_));
  // Again, and the same.
  EXPECT_TRUE(isIdentical(behind->result(), expected_));
}

TEST_P(PendingForwardTest, SeveralAtATime) {
  std::vector<std::shared_ptr<layer::DiffusionCrossAttention<float>::PendingForward>> all;
  std::atomic<int> done = 0;
  for (int number = 0; number < 6; ++number) {
    all.push_back(start(one_));
    // Behind, in slices, or not begun at all; never two of them, for the schedule is one thread's at a time.
    if (number % 2 == 0) {
      ASSERT_TRUE(all.back()->runInBackground([&done] { ++done; }));
    } else if (number > 1) {
      all.back()->advance(0.05);
    }
  }
  for (auto pending = all.rbegin(); pending != all.rend(); ++pending) {
    EXPECT_TRUE(isIdentical((*pending)->result(), expected_));
  }
  awaitThreadBehind();
  EXPECT_EQ(done, 3);
}

TEST_P(PendingForwardTest, IsOfTheParametersThatItStartedWith) {
  for (const bool behind : {false, true}) {
    LayerCase<float> one(callShape());
    const auto pending = start(one);
    if (behind) {
      ASSERT_TRUE(pending->runInBackground([] {}));
    }
    one.layer.setParameter("to_out.0.bias", Tensor<float>::full(Shape{32}, 100));
    EXPECT_TRUE(isIdentical(pending->result(), expected_));
    EXPECT_GT(one.forward().data()[0], 50);
  }
}

TEST_P(PendingForwardTest, IsFinishedByUpdateResetAndBackward) {
  one_.layer.setTraining(true);
  const Tensor<float> gradient = LayerCase<float>(callShape()).forwardAndBackward();
  const auto pending = start(one_);
  // The training forward counts from its start: backward finishes it.
  EXPECT_TRUE(isIdentical(one_.layer.backward(one_.outputGradient), gradient));
  EXPECT_TRUE(isIdentical(pending->result(), expected_));
  const auto second = start(one_);
  one_.layer.updateParameters(0.1);
  EXPECT_TRUE(isIdentical(second->result(), expected_));
  const auto third = start(one_);
  one_.layer.resetState();
  EXPECT_TRUE(failsWith(ErrorCode::kArgument, [&] { one_.layer.backward(one_.outputGradient); }));
  EXPECT_EQ(third->result().size(), expected_.size());
}

TEST_P(PendingForwardTest, OneThatIsDroppedLeavesNoTrace) {
  const std::size_t before = memory::bytesInUse();
  {
    LayerCase<float> one(callShape());
    one.layer.setTraining(true);
    start(one);
    start(one)->advance(0.01);
    EXPECT_TRUE(failsWith(ErrorCode::kArgument, [&] { one.layer.backward(one.outputGradient); }));
    EXPECT_TRUE(isIdentical(one.forward(), expected_));
  }
  EXPECT_EQ(memory::bytesInUse(), before);
}

TEST_P(PendingForwardTest, OneThatIsDroppedWhileItRunsBehindIsWaitedFor) {
  for (int round = 0; round < 20; ++round) {
    std::atomic<bool> done = false;
    {
      LayerCase<float> one(callShape());
      const auto pending = start(one);
      ASSERT_TRUE(pending->runInBackground([&done] { done = true; }));
    }
    awaitThreadBehind();
    EXPECT_TRUE(done);
  }
}

TEST_P(PendingForwardTest, OutlivesItsLayer) {
  for (const bool behind : {false, true}) {
    auto one = std::make_unique<LayerCase<float>>(callShape());
    const auto pending = start(*one);
    if (behind) {
      ASSERT_TRUE(pending->runInBackground([] {}));
    }
    one.reset();
    EXPECT_TRUE(isIdentical(pending->result(), expected_));
    awaitThreadBehind();
  }
}

TEST_P(PendingForwardTest, HoldsNoMemoryOnceItWasDoneAndDropped) {
  const auto runAndDrop = [&](const std::function<void()>& inDone,
                              const std::function<void()>& atDone) {
    LayerCase<float> one(callShape());
    const auto pending = start(one);
    ASSERT_TRUE(pending->runInBackground(inDone));
    atDone();
    EXPECT_TRUE(isIdentical(pending->result(), expected_));
  };
  // Once before, so that the scratch of the thread behind is there.
  runAndDrop([] {}, [] {});
  awaitThreadBehind();
  const std::size_t before = memory::bytesInUse();
  // The thread behind is slow to return from `done`: the owner need not wait for that.
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
  awaitThreadBehind();
  EXPECT_EQ(memory::bytesInUse(), before);
}

TEST_P(PendingForwardTest, TheInputMayGoBeforeItIsDone) {
  auto input = std::make_unique<Tensor<float>>(one_.input.clone());
  const auto pending = one_.layer.startForward(*input, one_.contextPointer());
  input.reset();
  EXPECT_TRUE(isIdentical(pending->result(), expected_));
}

}  // namespace cross_attention::test::layer_pending_forward_test
