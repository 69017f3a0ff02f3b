#include "core/thread_pool.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <future>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "support/comparison.hpp"
#include "support/threads.hpp"

namespace cross_attention::test::core_thread_pool_test {

namespace {

/// Work of one stage.
class OneStage final : public ThreadPool::Stages {
 public:
  OneStage(Index count, std::function<void(Index, int)> task) : count_(count), task_(std::move(task)) {}
  Index stages() const override { return 1; }
  Index tasks(Index) const override { return count_; }
  void run(Index, Index task, int slot) override { task_(task, slot); }

 private:
  Index count_;
  std::function<void(Index, int)> task_;
};

/// Acquires the workers and runs all the work.
void runAll(ThreadPool::Stages& work) {
  ThreadPool& pool = ThreadPool::shared();
  ASSERT_TRUE(pool.tryAcquire());
  try {
    pool.run(work, 0, 0, 0);
  } catch (...) {
    pool.release();
    throw;
  }
  pool.release();
}

void parallelFor(Index count, std::function<void(Index, int)> task) {
  OneStage work(count, std::move(task));
  runAll(work);
}

}  // namespace

class ThreadPoolTest : public testing::TestWithParam<int> {
 protected:
  ThreadsInScope threads_{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolTest, testing::Values(1, 2, 3, 7));

TEST_P(ThreadPoolTest, RunsEachTaskOnce) {
  EXPECT_EQ(ThreadPool::shared().threads(), GetParam());
  for (const Index count : {0, 1, 2, 3, 100, 2000}) {
    std::vector<std::atomic<int>> runs(static_cast<std::size_t>(count));
    parallelFor(count, [&](Index index, int) { ++runs[static_cast<std::size_t>(index)]; });
    for (const std::atomic<int>& times : runs) ASSERT_EQ(times, 1);
  }
}

TEST_P(ThreadPoolTest, UsesEachSlotByOneThreadAtATime) {
  std::vector<std::atomic<int>> inside(ThreadPool::kSlots);
  std::atomic<bool> clash = false;
  parallelFor(500, [&](Index, int slot) {
    if (slot < 0 || slot >= GetParam() || ++inside[static_cast<std::size_t>(slot)] != 1) clash = true;
    std::this_thread::yield();
    --inside[static_cast<std::size_t>(slot)];
  });
  EXPECT_FALSE(clash);
}

TEST_P(ThreadPoolTest, RethrowsATasksExceptionAfterAllThreadsHaveFinished) {
  for (int round = 0; round < 50; ++round) {
    std::atomic<int> inside = 0;
    std::atomic<int> started = 0;
    EXPECT_THROW(parallelFor(200,
                             [&](Index index, int) {
                               ++inside;
                               ++started;
                               std::this_thread::yield();
                               --inside;
                               if (index == 20) throw std::runtime_error("task 20");
                             }),
                 std::runtime_error);
    EXPECT_EQ(inside, 0);
    EXPECT_GE(started, 1);
    // The pool still works.
    std::atomic<int> runs = 0;
    parallelFor(64, [&](Index, int) { ++runs; });
    ASSERT_EQ(runs, 64);
  }
}

TEST_P(ThreadPoolTest, RethrowsOneOfManyExceptions) {
  for (int round = 0; round < 50; ++round) {
    try {
      parallelFor(100, [](Index index, int) { throw static_cast<int>(index); });
      FAIL() << "no exception";
    } catch (int index) {
      EXPECT_GE(index, 0);
      EXPECT_LT(index, 100);
    }
  }
}

TEST_P(ThreadPoolTest, RunsManyShortRounds) {
  std::atomic<Index> sum = 0;
  for (int round = 0; round < 3000; ++round) {
    parallelFor(4, [&](Index index, int) { sum += index; });
  }
  EXPECT_EQ(sum, 3000 * 6);
}

TEST_P(ThreadPoolTest, RunsBackgroundJobsInOrder) {
  ThreadPool& pool = ThreadPool::shared();
  ASSERT_TRUE(pool.canRunInBackground());
  std::vector<int> order;
  std::set<std::thread::id> threads;
  std::promise<void> done;
  for (int job = 0; job < 20; ++job) {
    pool.runInBackground([&, job] {
      order.push_back(job);
      threads.insert(std::this_thread::get_id());
      if (job == 19) done.set_value();
    });
  }
  done.get_future().get();
  ASSERT_EQ(order.size(), 20u);
  for (int job = 0; job < 20; ++job) EXPECT_EQ(order[static_cast<std::size_t>(job)], job);
  EXPECT_EQ(threads.size(), 1u);
  EXPECT_EQ(threads.count(std::this_thread::get_id()), 0u);
}

TEST_P(ThreadPoolTest, LendsWorkersToOneThreadAtATime) {
  ThreadPool& pool = ThreadPool::shared();
  std::promise<void> acquired;
  std::promise<void> mayRelease;
  pool.runInBackground([&] {
    ASSERT_TRUE(pool.tryAcquire());
    acquired.set_value();
    mayRelease.get_future().get();
    pool.release();
  });
  acquired.get_future().get();
  EXPECT_FALSE(pool.tryAcquire());
  mayRelease.set_value();
  std::promise<void> released;
  pool.runInBackground([&] { released.set_value(); });
  released.get_future().get();
  EXPECT_TRUE(pool.tryAcquire());
  pool.release();
}

TEST(ThreadPoolLimitsTest, AcceptsOneToSixtyFourThreads) {
  ThreadPool& pool = ThreadPool::shared();
  for (const int threads : {-1, 0, ThreadPool::kMaxThreads + 1}) {
    EXPECT_TRUE(failsWith(ErrorCode::kArgument, [&] { pool.setThreads(threads); })) << threads;
  }
  EXPECT_EQ(pool.threads(), 1);
  {
    const ThreadsInScope threads(ThreadPool::kMaxThreads);
    EXPECT_EQ(pool.threads(), ThreadPool::kMaxThreads);
    std::atomic<int> runs = 0;
    parallelFor(1000, [&](Index, int) { ++runs; });
    EXPECT_EQ(runs, 1000);
  }
  EXPECT_EQ(pool.threads(), 1);
}

}  // namespace cross_attention::test::core_thread_pool_test
