#include "layer/planner.hpp"

#include <gtest/gtest.h>

#include "linalg/tile.hpp"
#include "support/layer_case.hpp"
#include "support/threads.hpp"

namespace cross_attention::test::layer_planner_test {

namespace {

using namespace layer;
using linalg::kTileColumns;
using linalg::kTileRows;

constexpr Index kManyTasks = 1000000;

Index tasks(const Plan& plan, const ForwardWork& work) {
  return work.batch * ceilDivide(work.tokens, plan.tokenBlock);
}

}  // namespace

TEST(TasksForThreadsTest, IsAMultipleOfThePoolsThreads) {
  for (const int threads : {1, 2, 5}) {
    const ThreadsInScope scope(threads);
    EXPECT_GE(tasksForThreads(), threads);
    EXPECT_EQ(tasksForThreads() % threads, 0);
  }
}

template <class T>
class PlannerTest : public testing::Test {};
using Formats = testing::Types<float, double>;
TYPED_TEST_SUITE(PlannerTest, Formats);

TYPED_TEST(PlannerTest, ForwardBlocksAreEvenAndWholeTiles) {
  using T = TypeParam;
  for (const Index queryDim : {8, 320, 1280, 32768}) {
    const Configuration configuration = configurationOf(queryDim, 64, 8);
    for (const bool folded : {false, true}) {
      for (const Index tokens : {0, 1, 31, 64, 77, 256, 4096, 5000}) {
        for (const Index keys : {0, 1, 77, 256, 257, 1000, 4096}) {
          for (const Index minTasks : {Index(0), Index(1), Index(4), Index(32), kManyTasks}) {
            const ForwardWork work{
                .batch = 2, .tokens = tokens, .keys = keys, .folded = folded, .minTasks = minTasks};
            const Plan plan = planForward<T>(configuration, work);
            ASSERT_GE(plan.tokenBlock, kTileColumns<T>);
            ASSERT_EQ(plan.tokenBlock % kTileColumns<T>, 0);
            ASSERT_LE(plan.tokenBlock, std::max(Index(128), 2 * kTileColumns<T>));
            ASSERT_GE(plan.keyBlock, kTileRows<T>);
            ASSERT_EQ(plan.keyBlock % kTileRows<T>, 0);
            ASSERT_LE(plan.keyBlock, 256 + kTileRows<T>);
            // Even blocks: the last one is not empty.
            const Index blocks = ceilDivide(tokens, plan.tokenBlock);
            ASSERT_GE(blocks * plan.tokenBlock, tokens);
            ASSERT_LT((blocks - 1) * plan.tokenBlock, std::max<Index>(tokens, 1));
          }
        }
      }
    }
  }
}

TYPED_TEST(PlannerTest, ForwardHasEnoughTasksIfThereAreEnoughTokens) {
  using T = TypeParam;
  const Configuration configuration = configurationOf(320, 768, 8);
  for (const bool folded : {false, true}) {
    for (const Index tokens : {64, 256, 1024, 4096}) {
      Index before = 0;
      for (const Index minTasks : {1, 2, 4, 8, 32}) {
        const ForwardWork work{
            .batch = 2, .tokens = tokens, .keys = 77, .folded = folded, .minTasks = minTasks};
        const Plan plan = planForward<T>(configuration, work);
        // Blocks have at least 32 tokens and two tiles, whatever the number of tasks.
        const Index max = 2 * tokens / std::max(Index(32), 2 * kTileColumns<T>);
        EXPECT_GE(tasks(plan, work), std::min(minTasks, max)) << tokens << ", " << minTasks;
        EXPECT_GE(tasks(plan, work), before);
        before = tasks(plan, work);
      }
    }
  }
}

TYPED_TEST(PlannerTest, UsesTheBlockSizesOfTheConfiguration) {
  using T = TypeParam;
  Configuration configuration = configurationOf(64, 64, 4);
  configuration.tokenBlock = 3 * kTileColumns<T> - 1;
  configuration.keyBlock = 4 * kTileRows<T> - 1;
  const Plan plan = planForward<T>(
      configuration,
      {.batch = 1, .tokens = 6 * kTileColumns<T>, .keys = 500, .folded = false, .minTasks = 1});
  EXPECT_EQ(plan.tokenBlock, 3 * kTileColumns<T>);
  EXPECT_EQ(plan.keyBlock, 4 * kTileRows<T>);
}

TYPED_TEST(PlannerTest, BackwardChunksAreWholeBlocksOfBoundedSize) {
  using T = TypeParam;
  for (const Index queryDim : {8, 320, 1280, 32768}) {
    for (const Index tokenBlock : {0, 1, 100, 1000}) {
      Configuration configuration = configurationOf(queryDim, 64, 8);
      configuration.tokenBlock = tokenBlock;
      for (const bool folded : {false, true}) {
        for (const Index tokens : {0, 1, 77, 4096, 30000}) {
          const BackwardPlan plan = planBackward<T>(configuration, tokens, 77, folded);
          ASSERT_GT(plan.tokenBlock, 0);
          ASSERT_EQ(plan.tokenBlock % kTileColumns<T>, 0);
          ASSERT_GT(plan.chunk, 0);
          ASSERT_EQ(plan.chunk % plan.tokenBlock, 0);
          ASSERT_EQ(plan.keyBlock % kTileRows<T>, 0);
          const Index bytes = plan.chunk * queryDim * static_cast<Index>(sizeof(T));
          ASSERT_TRUE(bytes <= 2 * 1024 * 1024 || plan.chunk == plan.tokenBlock);
          // The number of threads has no effect.
          const ThreadsInScope scope(3);
          ASSERT_EQ(planBackward<T>(configuration, tokens, 77, folded).chunk, plan.chunk);
        }
      }
    }
  }
}

}  // namespace cross_attention::test::layer_planner_test
