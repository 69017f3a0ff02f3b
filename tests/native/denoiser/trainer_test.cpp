#include "denoiser/trainer.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "denoiser/weights_file.hpp"
#include "support/central_differences.hpp"
#include "support/comparison.hpp"
#include "support/tiny_denoiser.hpp"

namespace cross_attention::test::denoiser_trainer_test {

namespace {

using denoiser::Batch;
using denoiser::Denoiser;
using denoiser::Trainer;
using denoiser::TrainerOptions;

/// Over so many draws of times and noise, none of which a step of training sees.
template <class T>
double meanLoss(Trainer<T>& trainer, const Batch<T>& batch) {
  constexpr int kDraws = 16;
  double sum = 0;
  for (int draw = 0; draw < kDraws; ++draw) {
    Random random(1000 + static_cast<std::uint64_t>(draw));
    sum += trainer.loss(batch, random, false);
  }
  return sum / kDraws;
}

/// All that training has made: parameters, their averages, moments and the number of the step.
std::vector<float> stateOf(Denoiser<float>& denoiser, Trainer<float>& trainer) {
  std::vector<float> all = allValues(denoiser.parameters());
  for (auto& state : trainer.adam().states()) {
    for (const auto* part : {&state.mean, &state.square, &state.ema}) {
      all.insert(all.end(), part->begin(), part->end());
    }
  }
  all.push_back(static_cast<float>(trainer.adam().step()));
  return all;
}

}  // namespace

TEST(TrainerTest, TheLossIsTheVelocitysMeanSquaredError) {
  // A new denoiser estimates zero: only what the loss is made of is left.
  Denoiser<double> denoiser(tinyConfiguration(), tinyVocabulary(), 1);
  const TrainerOptions options{.timeMean = 0.5, .timeDeviation = 2};
  Trainer<double> trainer(denoiser, options);
  const Batch<double> batch = tinyBatch<double>();
  bool isBounded = false, isFree = false;
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    Random random(seed);
    const double loss = trainer.loss(batch, random, false);
    Random again(seed);
    double expected = 0;
    const Index values = batch.pictures.size() / 3;
    for (Index row = 0; row < 3; ++row) {
      again.uniform();
      const double time = 1 / (1 + std::exp(-(0.5 + 2 * again.normal())));
      // velocity - estimated velocity = (x - estimate) / (1 - t)
      const double noise = std::max(1 - time, 0.2);
      (1 - time < 0.2 ? isBounded : isFree) = true;
      for (Index i = 0; i < values; ++i) {
        const double x = batch.pictures.data()[row * values + i];
        expected += x * x / (noise * noise) / static_cast<double>(3 * values);
      }
    }
    // 576 terms in another order.
    EXPECT_NEAR(loss, expected, 1e-13 * expected);
  }
  EXPECT_TRUE(isBounded && isFree);
}

TEST(TrainerTest, SixtyStepsTakeTheLossBelowTwoThirds) {
  Denoiser<float> denoiser(tinyConfiguration(), tinyVocabulary(), 1);
  Trainer<float> trainer(denoiser, {.promptDropout = 0});
  const Batch<float> batch = tinyBatch<float>();
  const double before = meanLoss(trainer, batch);
  for (int step = 0; step < 60; ++step) {
    trainer.step(batch, 0.01);
    EXPECT_GT(trainer.gradientNorm(), 0);
  }
  const double after = meanLoss(trainer, batch);
  std::printf("loss before %.4f, after 60 steps %.4f\n", before, after);
  EXPECT_LE(after, before * 2 / 3);
  EXPECT_EQ(trainer.adam().step(), 60);
}

TEST(TrainerTest, AddsNoiseByTheTimes) {
  TinyDenoiser<double> denoiser;
  const Batch<double> batch = tinyBatch<double>();
  Trainer<double> trainer(denoiser, {.promptDropout = 0});
  Random random(2);
  const auto noisy = trainer.addNoise(batch, random);
  EXPECT_EQ(noisy.prompts, batch.prompts);
  ASSERT_EQ(noisy.noisy.shape(), batch.pictures.shape());
  ASSERT_EQ(noisy.times.size(), 3u);
  const Index values = batch.pictures.size() / 3;
  for (Index row = 0; row < 3; ++row) {
    const auto place = static_cast<std::size_t>(row);
    const double time = noisy.times[place];
    EXPECT_EQ(noisy.weights[place], 1 / std::max((1 - time) * (1 - time), 0.2 * 0.2));
    double squares = 0;
    for (Index i = row * values; i < (row + 1) * values; ++i) {
      const double noise = (noisy.noisy.data()[i] - time * batch.pictures.data()[i]) / (1 - time);
      squares += noise * noise;
    }
    // Of 192 numbers of variance 1: a standard deviation of 0.1; five of them.
    EXPECT_NEAR(squares / static_cast<double>(values), 1, 0.5);
  }
}

TEST(TrainerTest, DroppedPromptsSayNothing) {
  TinyDenoiser<float> denoiser;
  const Batch<float> batch = tinyBatch<float>();
  Batch<float> other = batch;
  other.prompts = {{1, 5, 5}, {1, 2}, {1, 2, 3, 4, 5}};
  for (const double dropout : {0.0, 1.0}) {
    Trainer<float> trainer(denoiser, {.promptDropout = dropout});
    Random random(3), again(3);
    const double loss = trainer.loss(batch, random, false);
    EXPECT_EQ(trainer.loss(other, again, false) == loss, dropout == 1) << "dropout " << dropout;
  }
}

TEST(TrainerTest, ABreakChangesNothing) {
  const TrainerOptions options{.seed = 4};
  const auto batchOf = [](int step) { return tinyBatch<float>(static_cast<std::uint64_t>(step)); };
  TinyDenoiser<float> whole(1);
  Trainer<float> trainer(whole, options);
  std::vector<std::byte> checkpoint;
  std::vector<double> losses;
  for (int step = 0; step < 6; ++step) {
    if (step == 3) checkpoint = denoiser::saveCheckpoint(whole, trainer);
    losses.push_back(trainer.step(batchOf(step), 0.01));
  }
  // Into one that began otherwise and has gone another way.
  TinyDenoiser<float> other(2);
  Trainer<float> resumed(other, options);
  resumed.step(batchOf(9), 0.05);
  denoiser::loadCheckpoint(checkpoint, other, resumed);
  EXPECT_EQ(resumed.adam().step(), 3);
  for (int step = 3; step < 6; ++step) {
    EXPECT_EQ(resumed.step(batchOf(step), 0.01), losses[static_cast<std::size_t>(step)]);
  }
  EXPECT_TRUE(isIdentical(stateOf(other, resumed), stateOf(whole, trainer)));
}

TEST(TrainerTest, SeedAndStepDecideTimesAndNoise) {
  const auto train = [](std::uint64_t seed) {
    TinyDenoiser<float> denoiser;
    Trainer<float> trainer(denoiser, {.seed = seed});
    std::vector<double> losses;
    for (int step = 0; step < 2; ++step) losses.push_back(trainer.step(tinyBatch<float>(), 0));
    return losses;
  };
  const std::vector<double> losses = train(1);
  EXPECT_EQ(train(1), losses);
  EXPECT_NE(train(2)[0], losses[0]);
  // A learning rate of 0: only times and noise differ.
  EXPECT_NE(losses[0], losses[1]);
}

TEST(TrainerTest, SameBitsForAllThreads) {
  expectSameBitsForAllThreads([] {
    TinyDenoiser<float> denoiser;
    Trainer<float> trainer(denoiser, {});
    for (int step = 0; step < 3; ++step) trainer.step(tinyBatch<float>(), 0.01);
    return stateOf(denoiser, trainer);
  });
}

TEST(TrainerTest, RefusesPicturesOfAnotherSize) {
  TinyDenoiser<float> denoiser;
  Trainer<float> trainer(denoiser, {});
  const std::vector<float> before = stateOf(denoiser, trainer);
  for (const Shape& shape :
       {Shape{3, 3, 8, 4}, Shape{3, 3, 16, 16}, Shape{3, 1, 8, 8}, Shape{2, 3, 8, 8}, Shape{3, 192}}) {
    const Batch<float> batch{Tensor<float>::zeros(shape), tinyBatch<float>().prompts};
    EXPECT_TRUE(failsWith(ErrorCode::kShape, [&] { trainer.step(batch, 0.01); })) << toString(shape);
  }
  const Batch<float> empty{Tensor<float>(Shape{0, 3, 8, 8}), {}};
  EXPECT_TRUE(failsWith(ErrorCode::kShape, [&] { trainer.step(empty, 0.01); }));
  EXPECT_TRUE(isIdentical(stateOf(denoiser, trainer), before));
  EXPECT_EQ(largestMagnitude(allGradients(denoiser.parameters())), 0);
}

}  // namespace cross_attention::test::denoiser_trainer_test
