#include <gtest/gtest.h>

#include "denoiser/weights_file.hpp"
#include "support/threads.hpp"
#include "support/tiny_denoiser.hpp"

namespace cross_attention::test::denoiser_memory_test {

using denoiser::Denoiser;
using denoiser::Prompts;
using denoiser::Trainer;

TEST(DenoiserMemoryTest, EverythingGoesWithTheDenoiser) {
  const std::size_t before = memory::bytesInUse();
  for (const int threads : {1, 2}) {
    const ThreadsInScope scope(threads);
    {
      TinyDenoiser<float> denoiser;
      Trainer<float> trainer(denoiser, {});
      const auto batch = tinyBatch<float>();
      trainer.step(batch, 0.01);
      denoiser::loadCheckpoint(denoiser::saveCheckpoint(denoiser, trainer), denoiser, trainer);
      trainer.adam().swapEma();
      const auto loaded = denoiser::loadDenoiser(denoiser::saveDenoiser(denoiser, "F16"));
      loaded->addWord("sphere", "circle");
      const auto encoded = loaded->encode(Prompts(batch.prompts), false);
      const std::vector<float> times = {0.1f, 0.5f, 0.9f};
      loaded->forward(batch.pictures, times, encoded, false);
      auto& attention = loaded->block(0).crossAttention();
      const Tensor<float> tokens = Tensor<float>::zeros(Shape{3, 4, 16});
      attention.forwardWith(attention.probabilities(tokens, &encoded.context, encoded.mask), tokens,
                            &encoded.context);
      EXPECT_GT(memory::bytesInUse(), before);
    }
    EXPECT_EQ(memory::bytesInUse(), before);
  }
}

TEST(DenoiserMemoryTest, SamplingDoesNotGrowWithSteps) {
  TinyDenoiser<float> denoiser;
  const auto batch = tinyBatch<float>();
  const auto encoded = denoiser.encode(Prompts(batch.prompts), false);
  const std::vector<float> times = {0.1f, 0.5f, 0.9f};
  denoiser.forward(batch.pictures, times, encoded, false);
  const std::size_t once = memory::bytesInUse();
  for (int step = 0; step < 3; ++step) {
    denoiser.forward(batch.pictures, times, encoded, false);
    EXPECT_EQ(memory::bytesInUse(), once);
  }
}

TEST(DenoiserMemoryTest, WhatIsKeptForABackwardGoesWithTheNextChange) {
  TinyDenoiser<float> denoiser;
  const auto batch = tinyBatch<float>();
  const std::vector<float> times = {0.1f, 0.5f, 0.9f};
  const auto forward = [&](bool keep) {
    const auto encoded = denoiser.encode(Prompts(batch.prompts), keep);
    denoiser.forward(batch.pictures, times, encoded, keep);
    return memory::bytesInUse();
  };
  // The scratch that a kept one takes stays.
  const std::size_t kept = forward(true);
  denoiser.parameters().touch();
  const std::size_t once = forward(false);
  EXPECT_LT(once, kept);
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(forward(true), kept);
    denoiser.parameters().touch();
    EXPECT_EQ(forward(false), once);
  }
}

}  // namespace cross_attention::test::denoiser_memory_test
