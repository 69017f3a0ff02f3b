#include <gtest/gtest.h>

#include "linalg/panels.hpp"
#include "support/build.hpp"
#include "support/comparison.hpp"
#include "support/folding.hpp"
#include "support/layer_case.hpp"
#include "support/measured_shapes.hpp"
#include "support/threads.hpp"

namespace cross_attention::test::layer_memory_test {

namespace {

constexpr std::size_t kMegabyte = 1024 * 1024;

/// Returns the peak memory of a new layer's first forward pass without arguments, parameters and output:
/// packed weights, keys and values, scratch. The scratch of earlier layers was freed with them.
template <class T>
std::size_t bytesOfForward(LayerCase<T>& layerCase) {
  const std::size_t before = memory::bytesInUse();
  memory::resetPeak();
  const Tensor<T> output = layerCase.forward();
  return memory::peakBytes() - before - static_cast<std::size_t>(output.size()) * sizeof(T);
}

const MeasuredShape& measured(const std::vector<MeasuredShape>& all, const std::string& name) {
  return *std::find_if(all.begin(), all.end(), [&](const auto& shape) { return shape.name == name; });
}

void expectAtMost(const char* title, std::size_t bytes, std::size_t max) {
  EXPECT_LE(bytes, max) << title;
  std::printf("%s: %.2f MB, allowed %.2f MB\n", title, static_cast<double>(bytes) / kMegabyte,
              static_cast<double>(max) / kMegabyte);
}

}  // namespace

TEST(LayerMemoryTest, ForwardAtSd15UsesAtMostFourMegabytesPerThread) {
  const std::vector<MeasuredShape> all = measuredShapes();
  for (const int threads : {1, 2}) {
    const ThreadsInScope scope(threads);
    LayerCase<float> layerCase(measured(all, "sd15-64").shape);
    const std::string title =
        "forward at sd15-64, packed weights included, threads: " + std::to_string(threads);
    expectAtMost(title.c_str(), bytesOfForward(layerCase), static_cast<std::size_t>(threads) * 4 * kMegabyte);
  }
}

TEST(LayerMemoryTest, SelfAttentionUsesAtMostEightMegabytesBesidesKeysAndValues) {
  if (kSanitized) {
    reportSkipped("self-attention over 4096 tokens (1024 instead)");
  }
  CaseShape shape = measured(measuredShapes(), "self-64").shape;
  if (kSanitized) shape.height = 16;
  LayerCase<float> layerCase(shape);
  const std::size_t keysAndValues =
      static_cast<std::size_t>(2 * shape.tokens() * shape.queryDim) * sizeof(float);
  expectAtMost("forward at self-64, without keys and values, packed weights included",
               bytesOfForward(layerCase) - keysAndValues, 8 * kMegabyte);
}

TEST(LayerMemoryTest, ScratchDoesNotGrowWithTokensTimesKeys) {
  // From 16² tokens on, N·L grows 16-fold and then 16-fold again (only once with sanitizers). The packed keys
  // and values, which grow with L, are subtracted.
  std::vector<std::size_t> bytes;
  for (const Index side : {16, 32, 64}) {
    if (kSanitized && side == 64) {
      reportSkipped("64² tokens");
      continue;
    }
    LayerCase<float> layerCase(squareShape(1, 64, side, 0, 0, 4));
    const auto keysAndValues = 4 * (linalg::rowPanelsSize<float>(layerCase.shape.tokens(), 16) +
                                    linalg::rowPanelsSize<float>(16, layerCase.shape.tokens()));
    bytes.push_back(bytesOfForward(layerCase) - static_cast<std::size_t>(keysAndValues) * sizeof(float));
    std::printf("self-attention over %d² tokens, without keys and values: %.0f KB\n", static_cast<int>(side),
                static_cast<double>(bytes.back()) / 1024);
  }
  // 480 instead of 256 keys are projected at a time (56 KB), and tiles differ in their number of keys.
  for (const std::size_t other : bytes) EXPECT_LE(other, bytes.front() + 64 * 1024);
}

TEST(LayerMemoryTest, ScratchOfFoldedForwardDoesNotGrowWithTokens) {
  std::vector<std::size_t> bytes;
  for (const Index side : {32, 64}) {
    LayerCase<float> layerCase(squareShape(1, 256, side, 64, 64, 4));
    ASSERT_TRUE(foldsContext(layerCase));
    bytes.push_back(bytesOfForward(layerCase));
  }
  EXPECT_EQ(bytes[0], bytes[1]);
}

TEST(LayerMemoryTest, ScratchOfBackwardDoesNotGrowWithTokensTimesKeys) {
  // 32² tokens of 256 channels fill a chunk of 1 MB; folded, 64 × 32 tokens fill one of 2 MB. More tokens are
  // more chunks, one after another.
  for (const bool folded : {false, true}) {
    std::vector<std::size_t> bytes;
    for (const Index chunks : {1, 2, 3}) {
      if (kSanitized && chunks == 3) {
        reportSkipped("three chunks");
        continue;
      }
      CaseShape shape = squareShape(1, 256, 32, 64, 64, folded ? 4 : 8);
      shape.width *= folded ? 2 * chunks : chunks;
      LayerCase<float> layerCase(shape);
      ASSERT_EQ(foldsContext(layerCase), folded);
      layerCase.layer.setTraining(true);
      layerCase.forward();
      const std::size_t before = memory::bytesInUse();
      memory::resetPeak();
      const Tensor<float> gradient = layerCase.layer.backward(layerCase.outputGradient);
      bytes.push_back(memory::peakBytes() - before -
                      static_cast<std::size_t>(gradient.size()) * sizeof(float));
      std::printf("backward over %d tokens%s, without the input's gradient: %.0f KB\n",
                  static_cast<int>(shape.tokens()), folded ? ", folded" : "",
                  static_cast<double>(bytes.back()) / 1024);
    }
    for (const std::size_t other : bytes) EXPECT_LE(other, bytes.front());
    // Eight matrices of a chunk, and those of weights and keys. Folded: six matrices, two of which have a row
    // for each key of each head.
    EXPECT_LE(bytes.front(), (folded ? 16 : 12) * kMegabyte);
  }
}

TEST(LayerMemoryTest, TrainingSavesLogSumExpAndNoProbabilities) {
  LayerCase<float> layerCase(squareShape(2, 64, 32, 77, 64, 4));
  layerCase.layer.setTraining(true);
  layerCase.forward();
  layerCase.forward();
  const std::size_t before = memory::bytesInUse();
  layerCase.layer.resetState();
  const std::size_t freed = before - memory::bytesInUse();
  const auto logSumExp = static_cast<std::size_t>(2 * 4 * 1024) * sizeof(float);
  // Keys and values, both in two forms, rounded up to whole panels of at most 6 rows.
  const auto keysAndValues = static_cast<std::size_t>(4 * 2 * 4 * (77 + 6) * (16 + 6)) * sizeof(float);
  EXPECT_GE(freed, logSumExp);
  EXPECT_LE(freed, logSumExp + keysAndValues);
}

TEST(LayerMemoryTest, FoldedTrainingSavesOnlyLogSumExpInTheSizeOfTheImage) {
  std::vector<std::size_t> saved;
  for (const Index side : {32, 64}) {
    LayerCase<float> layerCase(squareShape(1, 256, side, 64, 64, 4));
    ASSERT_TRUE(foldsContext(layerCase));
    layerCase.layer.setTraining(true);
    layerCase.forward();
    const std::size_t all = memory::bytesInUse();
    layerCase.layer.resetState();
    saved.push_back(all - memory::bytesInUse() -
                    static_cast<std::size_t>(4 * layerCase.shape.tokens()) * sizeof(float));
  }
  EXPECT_EQ(saved[0], saved[1]);
  // Keys and values, both in two forms and once as columns; both folded in two forms of heads · keys ×
  // channels.
  const auto keysAndValues = static_cast<std::size_t>(5 * 4 * (64 + 32) * (64 + 6));
  const auto folded = static_cast<std::size_t>(4 * 4 * (64 + 6) * (256 + 6));
  EXPECT_LE(saved[0], (keysAndValues + folded) * sizeof(float));
}

TEST(LayerMemoryTest, LayersAndTensorsFreeAllMemory) {
  const std::size_t before = memory::bytesInUse();
  for (const int threads : {1, 2}) {
    const ThreadsInScope scope(threads);
    {
      CaseShape shape;
      shape.mask = Shape{1, 7};
      LayerCase<float> layerCase(shape);
      CaseShape self;
      self.context.reset();
      LayerCase<double> two(self);
      layerCase.forward();
      layerCase.forwardAndBackward();
      layerCase.maps(layer::MapHeads::kMean);
      two.forwardAndBackward();
      layerCase.layer.updateParameters(0.1);
      layerCase.layer.startForward(layerCase.input, layerCase.contextPointer(), layerCase.mask);
      const auto pending =
          layerCase.layer.startForward(layerCase.input, layerCase.contextPointer(), layerCase.mask);
      EXPECT_GT(memory::bytesInUse(), before);
    }
    EXPECT_EQ(memory::bytesInUse(), before);
  }
}

TEST(LayerMemoryTest, ResetStateFreesTheMemoryOfCalls) {
  LayerCase<float> layerCase((CaseShape()));
  layerCase.forward();
  layerCase.forwardAndBackward();
  layerCase.layer.resetState();
  // Parameters, packed weights and scratch remain.
  const std::size_t once = memory::bytesInUse();
  for (int round = 0; round < 3; ++round) {
    layerCase.forwardAndBackward();
    layerCase.forward();
    layerCase.layer.resetState();
    EXPECT_EQ(memory::bytesInUse(), once);
  }
}

TEST(LayerMemoryTest, AFailedCallLeaksNoMemory) {
  LayerCase<float> layerCase((CaseShape()));
  layerCase.forward();
  const std::size_t before = memory::bytesInUse();
  const Tensor<float> wrong(Shape{3, 4});
  const std::size_t withTensor = memory::bytesInUse();
  EXPECT_TRUE(
      failsWith(ErrorCode::kShape, [&] { layerCase.layer.forward(wrong, layerCase.contextPointer()); }));
  EXPECT_TRUE(failsWith(ErrorCode::kShape, [&] { layerCase.layer.forward(layerCase.input, &wrong); }));
  EXPECT_EQ(memory::bytesInUse(), withTensor);
  EXPECT_EQ(withTensor, before + 48);
}

}  // namespace cross_attention::test::layer_memory_test
