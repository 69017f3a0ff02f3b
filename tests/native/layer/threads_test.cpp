#include "support/threads.hpp"

#include <gtest/gtest.h>

#include <future>

#include "support/build.hpp"
#include "support/comparison.hpp"
#include "support/folding.hpp"
#include "support/layer_case.hpp"

namespace cross_attention::test::layer_threads_test {

namespace {

/// Returns shapes with several blocks, chunks and key/value batches.
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
    LayerCase<T> layerCase(shape);
    output = layerCase.forward();
    maps = layerCase.maps(layer::MapHeads::kAll);
    meanMaps = layerCase.maps(layer::MapHeads::kMean);
    layerCase.layer.setTraining(true);
    trainedOutput = layerCase.forward();
    inputGradient = layerCase.layer.backward(layerCase.outputGradient);
    contextGradient = layerCase.layer.contextGradient();
    parameterGradients = layerCase.parameterGradients();
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
    const Results<TypeParam> single(shape, 1);
    EXPECT_TRUE(isIdentical(single.trainedOutput, single.output));
    for (const int threads : {2, 3, 5}) {
      const Results<TypeParam> many(shape, threads);
      EXPECT_TRUE(isIdentical(many.output, single.output)) << threads;
      EXPECT_TRUE(isIdentical(many.trainedOutput, single.trainedOutput)) << threads;
      EXPECT_TRUE(isIdentical(many.inputGradient, single.inputGradient)) << threads;
      EXPECT_TRUE(isIdentical(many.maps, single.maps)) << threads;
      EXPECT_TRUE(isIdentical(many.meanMaps, single.meanMaps)) << threads;
      EXPECT_TRUE(isIdentical(many.parameterGradients, single.parameterGradients)) << threads;
      ASSERT_EQ(many.contextGradient.has_value(), single.contextGradient.has_value());
      if (single.contextGradient) {
        EXPECT_TRUE(isIdentical(*many.contextGradient, *single.contextGradient)) << threads;
      }
    }
  }
}

TYPED_TEST(ThreadsTest, InBackgroundAndInSlicesGiveTheSameBits) {
  for (const CaseShape& shape : calls()) {
    SCOPED_TRACE(shape.describe());
    const Results<TypeParam> expected(shape, 1);
    for (const int threads : {1, 2, 3}) {
      const ThreadsInScope scope(threads);
      for (const bool inBackground : {true, false}) {
        LayerCase<TypeParam> layerCase(shape);
        layerCase.layer.setTraining(true);
        const auto pending =
            layerCase.layer.startForward(layerCase.input, layerCase.contextPointer(), layerCase.mask);
        if (inBackground) {
          std::promise<void> done;
          ASSERT_TRUE(pending->runInBackground([&done] { done.set_value(); }));
          done.get_future().get();
        } else {
          while (!pending->advance(0.2)) {
          }
        }
        EXPECT_TRUE(isIdentical(pending->result(), expected.output));
        // It was a training forward pass.
        EXPECT_TRUE(isIdentical(layerCase.layer.backward(layerCase.outputGradient), expected.inputGradient));
        EXPECT_TRUE(isIdentical(layerCase.parameterGradients(), expected.parameterGradients));
      }
    }
  }
}

TYPED_TEST(ThreadsTest, AForwardDuringAForwardInTheBackground) {
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
    // On this thread at the same time: another layer, and the same layer.
    ASSERT_TRUE(isIdentical(second.forward(), expected.output));
    ASSERT_TRUE(isIdentical(first.forward(), expected.output));
    ASSERT_TRUE(isIdentical(pending->result(), expected.output));
    done.get_future().get();
  }
}

TYPED_TEST(ThreadsTest, PacksWeightsDuringAForwardInTheBackground) {
  using T = TypeParam;
  const CaseShape shape = calls().back();
  Random random(6);
  // Too few tokens to fold: this forward pass reads other weights than the one in the background.
  const Tensor<T> few = normalTensor<T>(random, Shape{1, 3, shape.queryDim});
  const Results<T> expected(shape, 1);
  const ThreadsInScope scope(2);
  LayerCase<T> alone(shape);
  const Tensor<T> expectedOfFew = alone.layer.forward(few, alone.contextPointer());
  for (int round = 0; round < reduced(20, 4); ++round) {
    LayerCase<T> layerCase(shape);
    const auto pending =
        layerCase.layer.startForward(layerCase.input, layerCase.contextPointer(), layerCase.mask);
    std::promise<void> done;
    ASSERT_TRUE(pending->runInBackground([&done] { done.set_value(); }));
    ASSERT_TRUE(isIdentical(layerCase.layer.forward(few, layerCase.contextPointer()), expectedOfFew));
    ASSERT_TRUE(isIdentical(pending->result(), expected.output));
    done.get_future().get();
  }
}

}  // namespace cross_attention::test::layer_threads_test
