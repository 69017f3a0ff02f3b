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

/// The most that a new layer's first forward holds beyond its arguments, parameters and output: packed weights, keys
/// and values, scratch. The scratch of earlier layers is gone with them.
template <class T>
std::size_t bytesOfForward(LayerCase<T>& one) {
  const std::size_t before = memory::bytesInUse();
  memory::resetPeak();
  const Tensor<T> output = one.forward();
  return memory::peakBytes() - before - static_cast<std::size_t>(output.size()) * sizeof(T);
}

const MeasuredShape& measured(const std::vector<MeasuredShape>& all, const std::string& name) {
  return *std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.name == name; });
}

void expectAtMost(const char* what, std::size_t bytes, std::size_t most) {
  EXPECT_LE(bytes, most) << what;
  std::printf("%s: %.2f MB; allowed are %.2f MB\n", what, static_cast<double>(bytes) / kMegabyte,
              static_cast<double>(most) / kMegabyte);
}

}  // namespace

TEST(LayerMemoryTest, ForwardAtSd15TakesAtMostFourMegabytesAThread) {
  const std::vector<MeasuredShape> all = measuredShapes();
  for (const int threads : {1, 2}) {
    const ThreadsInScope scope(threads);
    LayerCase<float> one(measured(all, "sd15-64").shape);
    const std::string what =
        "forward at sd15-64, packed weights included, threads: " + std::to_string(threads);
    expectAtMost(what.c_str(), bytesOfForward(one),
                 static_cast<std::size_t>(threads) * 4 * kMegabyte);
  }
}

TEST(LayerMemoryTest, SelfAttentionTakesAtMostEightMegabytesBeyondKeysAndValues) {
  if (kSanitized) {
    reportSkipped("self-attention over 4096 tokens (1024 instead)");
  }
  CaseShape shape = measured(measuredShapes(), "self-64").shape;
  if (kSanitized) shape.height = 16;
  LayerCase<float> one(shape);
  const std::size_t keysAndValues =
      static_cast<std::size_t>(2 * shape.tokens() * shape.queryDim) * sizeof(float);
  expectAtMost("forward at self-64, beyond keys and values, packed weights included",
               bytesOfForward(one) - keysAndValues, 8 * kMegabyte);
}

TEST(LayerMemoryTest, ScratchDoesNotGrowWithTokensTimesKeys) {
  // From 16² tokens on, N·L grows 16-fold, then 16-fold again (only once with sanitizers); keys and values as they are
  // packed, which grow with L, are taken off.
  std::vector<std::size_t> bytes;
  for (const Index side : {16, 32, 64}) {
    if (kSanitized && side == 64) {
      reportSkipped("64² tokens");
      continue;
    }
    LayerCase<float> one(squareShape(1, 64, side, 0, 0, 4));
    const auto keysAndValues = 4 * (linalg::rowPanelsSize<float>(one.shape.tokens(), 16) +
                                    linalg::rowPanelsSize<float>(16, one.shape.tokens()));
    bytes.push_back(bytesOfForward(one) - static_cast<std::size_t>(keysAndValues) * sizeof(float));
    std::printf("self-attention over %d² tokens, beyond keys and values: %.0f KB\n",
                static_cast<int>(side), static_cast<double>(bytes.back()) / 1024);
  }
  // 480 instead of 256 keys are projected at a time: 56 KB; and tiles differ in their keys.
  for (const std::size_t more : bytes) EXPECT_LE(more, bytes.front() + 64 * 1024);
}

TEST(LayerMemoryTest, FoldedForwardsScratchDoesNotGrowWithTokens) {
  std::vector<std::size_t> bytes;
  for (const Index side : {32, 64}) {
    LayerCase<float> one(squareShape(1, 256, side, 64, 64, 4));
    ASSERT_TRUE(foldsContext(one));
    bytes.push_back(bytesOfForward(one));
  }
  EXPECT_EQ(bytes[0], bytes[1]);
}

TEST(LayerMemoryTest, BackwardsScratchDoesNotGrowWithTokensTimesKeys) {
  // 32² tokens of 256 channels fill a chunk of 1 MB, 64 × 32 one of 2 MB, which are folded: more tokens are more chunks,
  // one after another.
  for (const bool folded : {false, true}) {
    std::vector<std::size_t> bytes;
    for (const Index chunks : {1, 2, 3}) {
      if (kSanitized && chunks == 3) {
        reportSkipped("three chunks");
        continue;
      }
      CaseShape shape = squareShape(1, 256, 32, 64, 64, folded ? 4 : 8);
      shape.width *= folded ? 2 * chunks : chunks;
      LayerCase<float> one(shape);
      ASSERT_EQ(foldsContext(one), folded);
      one.layer.setTraining(true);
      one.forward();
      const std::size_t before = memory::bytesInUse();
      memory::resetPeak();
      const Tensor<float> gradient = one.layer.backward(one.outputGradient);
      bytes.push_back(memory::peakBytes() - before -
                      static_cast<std::size_t>(gradient.size()) * sizeof(float));
      std::printf("backward over %d tokens%s, beyond the input's gradient: %.0f KB\n",
                  static_cast<int>(shape.tokens()), folded ? ", folded" : "",
                  static_cast<double>(bytes.back()) / 1024);
    }
    for (const std::size_t more : bytes) EXPECT_LE(more, bytes.front());
    // Eight matrices of a chunk, and what belongs to weights and keys. Folded: six, two of them of as many rows as there
    // are keys of all heads.
    EXPECT_LE(bytes.front(), (folded ? 16 : 12) * kMegabyte);
  }
}

TEST(LayerMemoryTest, TrainingKeepsLogSumExpAndNoProbabilities) {
  LayerCase<float> one(squareShape(2, 64, 32, 77, 64, 4));
  one.layer.setTraining(true);
  one.forward();
  one.forward();
  const std::size_t kept = memory::bytesInUse();
  one.layer.resetState();
  const std::size_t freed = kept - memory::bytesInUse();
  const auto logSumExp = static_cast<std::size_t>(2 * 4 * 1024) * sizeof(float);
  // Keys and values, each twice, rounded up to whole panels of at most 6 rows.
  const auto keysAndValues =
      static_cast<std::size_t>(4 * 2 * 4 * (77 + 6) * (16 + 6)) * sizeof(float);
  EXPECT_GE(freed, logSumExp);
  EXPECT_LE(freed, logSumExp + keysAndValues);
}

TEST(LayerMemoryTest, FoldedTrainingKeepsNothingOfTheImagesSizeButLogSumExp) {
  std::vector<std::size_t> kept;
  for (const Index side : {32, 64}) {
    LayerCase<float> one(squareShape(1, 256, side, 64, 64, 4));
    ASSERT_TRUE(foldsContext(one));
    one.layer.setTraining(true);
    one.forward();
    const std::size_t all = memory::bytesInUse();
    one.layer.resetState();
    kept.push_back(all - memory::bytesInUse() -
                   static_cast<std::size_t>(4 * one.shape.tokens()) * sizeof(float));
  }
  EXPECT_EQ(kept[0], kept[1]);
  // Keys and values, each twice, and once more as columns; each folded twice: heads · keys rows of all channels.
  const auto keysAndValues = static_cast<std::size_t>(5 * 4 * (64 + 32) * (64 + 6));
  const auto folded = static_cast<std::size_t>(4 * 4 * (64 + 6) * (256 + 6));
  EXPECT_LE(kept[0], (keysAndValues + folded) * sizeof(float));
}

TEST(LayerMemoryTest, EverythingGoesWithLayerAndTensors) {
  const std::size_t before = memory::bytesInUse();
  for (const int threads : {1, 2}) {
    const ThreadsInScope scope(threads);
    {
      CaseShape shape;
      shape.mask = Shape{1, 7};
      LayerCase<float> one(shape);
      CaseShape self;
      self.context.reset();
      LayerCase<double> two(self);
      one.forward();
      one.forwardAndBackward();
      one.maps(layer::MapHeads::kMean);
      two.forwardAndBackward();
      one.layer.updateParameters(0.1);
      one.layer.startForward(one.input, one.contextPointer(), one.mask);
      const auto pending = one.layer.startForward(one.input, one.contextPointer(), one.mask);
      EXPECT_GT(memory::bytesInUse(), before);
    }
    EXPECT_EQ(memory::bytesInUse(), before);
  }
}

TEST(LayerMemoryTest, ResetStateGivesBackWhatCallsLeft) {
  LayerCase<float> one((CaseShape()));
  one.forward();
  one.forwardAndBackward();
  one.layer.resetState();
  // What stays: parameters, packed weights, scratch.
  const std::size_t once = memory::bytesInUse();
  for (int round = 0; round < 3; ++round) {
    one.forwardAndBackward();
    one.forward();
    one.layer.resetState();
    EXPECT_EQ(memory::bytesInUse(), once);
  }
}

TEST(LayerMemoryTest, AFailedCallLeavesNothingBehind) {
  LayerCase<float> one((CaseShape()));
  one.forward();
  const std::size_t before = memory::bytesInUse();
  const Tensor<float> wrong(Shape{3, 4});
  const std::size_t withTensor = memory::bytesInUse();
  EXPECT_TRUE(
      failsWith(ErrorCode::kShape, [&] { one.layer.forward(wrong, one.contextPointer()); }));
  EXPECT_TRUE(failsWith(ErrorCode::kShape, [&] { one.layer.forward(one.input, &wrong); }));
  EXPECT_EQ(memory::bytesInUse(), withTensor);
  EXPECT_EQ(withTensor, before + 48);
}

}  // namespace cross_attention::test::layer_memory_test
