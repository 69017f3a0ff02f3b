#include "support/threads.hpp"

#include <gtest/gtest.h>

#include <future>

#include "support/build.hpp"
#include "support/comparison.hpp"
#include "support/folding.hpp"
#include "support/layer_case.hpp"

namespace cross_attention::test::layer_threads_test {

namespace {

/// Shapes with several blocks, chunks and sets of keys.
std::vector<CaseShape> calls() {
  CaseShape image;
  image.batch = 2;
  image.queryDim = 40;
  image.numHeads = 4;
  image.height = 23;
  image.width = reduced<Index>(41, 17);
  image.context = Shape{2, 77, 30};
  CaseShape shared = image;
  shared.context = Shape{77, 30};
  shared.mask = Shape{2, 77};
  shared.layout = Layout::kBatches;
  CaseShape additive = image;
  additive.mask = Shape{2, 4, image.tokens(), 77};
  additive.ignoresWholeRow = true;
  additive.tokenBlock = 48;
  additive.keyBlock = 20;
  CaseShape self = image;
  self.context.reset();
  self.batch = 1;
  CaseShape folded = image;
  folded.numHeads = 2;
  folded.context = Shape{2, 16, 30};
  folded.mask = Shape{2, 16};
  CaseShape foldedShared = folded;
  foldedShared.context = Shape{16, 30};
  foldedShared.mask = Shape{1, 2, 1, 16};
  foldedShared.layout = Layout::kBatches;
  return {image, shared, additive, self, folded, foldedShared};
}

template <class T>
struct Results {
  Tensor<T> output, trainedOutput, inputGradient, maps, meanMaps;
  std::optional<Tensor<T>> contextGradient;
  std::vector<T> parameterGradients;

  Results(const CaseShape& shape, int threads) {
    const ThreadsInScope scope(threads);
    LayerCase<T> one(shape);
    output = one.forward();
    maps = one.maps(layer::MapHeads::kAll);
    meanMaps = one.maps(layer::MapHeads::kMean);
    one.layer.setTraining(true);
    trainedOutput = one.forward();
    inputGradient = one.layer.backward(one.outputGradient);
    contextGradient = one.layer.contextGradient();
    parameterGradients = one.parameterGradients();
  }
};

}  // namespace

template <class T>
class ThreadsTest : public testing::Test {};
using Formats = testing::Types<float, double>;
TYPED_TEST_SUITE(ThreadsTest, Formats);

TYPED_TEST(ThreadsTest, SomeCallsFoldAndSomeDoNot) {
  std::vector<bool> folds;
  for (const CaseShape& shape : calls()) folds.push_back(foldsContext(LayerCase<TypeParam>(shape)));
  EXPECT_EQ(folds, (std::vector<bool>{false, false, false, false, true, true}));
}

TYPED_TEST(ThreadsTest, ResultsAreTheSameBitsForAnyNumberOfThreads) {
  for (const CaseShape& shape : calls()) {
    SCOPED_TRACE(shape.describe());
    const Results<TypeParam> one(shape, 1);
    EXPECT_TRUE(isIdentical(one.trainedOutput, one.output));
    for (const int threads : {2, 3, 5}) {
      const Results<TypeParam> many(shape, threads);
      EXPECT_TRUE(isIdentical(many.output, one.output)) << threads;
      EXPECT_TRUE(isIdentical(many.trainedOutput, one.trainedOutput)) << threads;
      EXPECT_TRUE(isIdentical(many.inputGradient, one.inputGradient)) << threads;
      EXPECT_TRUE(isIdentical(many.maps, one.maps)) << threads;
      EXPECT_TRUE(isIdentical(many.meanMaps, one.meanMaps)) << threads;
      EXPECT_TRUE(isIdentical(many.parameterGradients, one.parameterGradients)) << threads;
      ASSERT_EQ(many.contextGradient.has_value(), one.contextGradient.has_value());
      if (one.contextGradient) {
        EXPECT_TRUE(isIdentical(*many.contextGradient, *one.contextGradient)) << threads;
      }
    }
  }
}

TYPED_TEST(ThreadsTest, BehindAndInSlicesGiveTheSameBits) {
  for (const CaseShape& shape : calls()) {
    SCOPED_TRACE(shape.describe());
    const Results<TypeParam> expected(shape, 1);
    for (const int threads : {1, 2, 3}) {
      const ThreadsInScope scope(threads);
      for (const bool behind : {true, false}) {
        LayerCase<TypeParam> one(shape);
        one.layer.setTraining(true);
        const auto pending = one.layer.startForward(one.input, one.contextPointer(), one.mask);
        if (behind) {
          std::promise<void> done;
          ASSERT_TRUE(pending->runInBackground([&done] { done.set_value(); }));
          done.get_future().get();
        } else {
          while (!pending->advance(0.2)) {
          }
        }
        EXPECT_TRUE(isIdentical(pending->result(), expected.output));
        // It was a training forward like any other.
        EXPECT_TRUE(isIdentical(one.layer.backward(one.outputGradient), expected.inputGradient));
        EXPECT_TRUE(isIdentical(one.parameterGradients(), expected.parameterGradients));
      }
    }
  }
}

TYPED_TEST(ThreadsTest, AForwardBesideAForwardBehind) {
  const ThreadsInScope scope(2);
  const CaseShape shape = calls().front();
  const Results<TypeParam> expected(shape, 1);
  const ThreadsInScope again(2);
  LayerCase<TypeParam> first(shape);
  LayerCase<TypeParam> second(shape);
  for (int round = 0; round < reduced(20, 4); ++round) {
    const auto pending = first.layer.startForward(first.input, first.contextPointer(), first.mask);
    std::promise<void> done;
    ASSERT_TRUE(pending->runInBackground([&done] { done.set_value(); }));
    // On this thread meanwhile: of another layer, and of the very same one.
    ASSERT_TRUE(isIdentical(second.forward(), expected.output));
    ASSERT_TRUE(isIdentical(first.forward(), expected.output));
    ASSERT_TRUE(isIdentical(pending->result(), expected.output));
    done.get_future().get();
  }
}

TYPED_TEST(ThreadsTest, WeightsArePackedBesideAForwardBehind) {
  using T = TypeParam;
  const CaseShape shape = calls().back();
  Random random(6);
  // Too few tokens to fold: their forward takes other weights than the one behind.
  const Tensor<T> few = normalTensor<T>(random, Shape{1, 3, shape.queryDim});
  const Results<T> expected(shape, 1);
  const ThreadsInScope scope(2);
  LayerCase<T> alone(shape);
  const Tensor<T> expectedOfFew = alone.layer.forward(few, alone.contextPointer());
  for (int round = 0; round < reduced(20, 4); ++round) {
    LayerCase<T> one(shape);
    const auto pending = one.layer.startForward(one.input, one.contextPointer(), one.mask);
    std::promise<void> done;
    ASSERT_TRUE(pending->runInBackground([&done] { done.set_value(); }));
    ASSERT_TRUE(isIdentical(one.layer.forward(few, one.contextPointer()), expectedOfFew));
    ASSERT_TRUE(isIdentical(pending->result(), expected.output));
    done.get_future().get();
  }
}

}  // namespace cross_attention::test::layer_threads_test
