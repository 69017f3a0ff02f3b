#include "core/schedule.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <stdexcept>
#include <thread>

#include "support/comparison.hpp"
#include "support/threads.hpp"

namespace cross_attention::test::core_schedule_test {

namespace {

std::shared_ptr<Workspace> workspace() { return std::make_shared<Workspace>(ThreadPool::kSlots); }

/// Three stages. Each checks that the previous stages are complete.
struct Stages {
  Schedule schedule{workspace()};
  std::array<std::atomic<Index>, 3> done{};
  std::atomic<bool> outOfOrder = false;

  Stages() {
    constexpr std::array<Index, 3> kTasks = {5, 1, 40};
    for (std::size_t stage = 0; stage < kTasks.size(); ++stage) {
      schedule.add(kTasks[stage], 64, [this, stage, kTasks](Index, Scratch& scratch) {
        scratch.take<char>(64)[63] = 1;
        for (std::size_t earlier = 0; earlier < stage; ++earlier) {
          if (done[earlier] != kTasks[earlier]) outOfOrder = true;
        }
        ++done[stage];
      });
    }
  }
  void expectAllDone() const {
    EXPECT_FALSE(outOfOrder);
    EXPECT_EQ(done[0], 5);
    EXPECT_EQ(done[1], 1);
    EXPECT_EQ(done[2], 40);
  }
};

}  // namespace

TEST(ScratchTest, PiecesAreAlignedAndDisjoint) {
  Scratch scratch;
  scratch.reserve(Scratch::bytesFor<float>(5) + Scratch::bytesFor<double>(3) + Scratch::bytesFor<char>(1));
  auto* first = scratch.take<float>(5);
  auto* second = scratch.take<double>(3);
  auto* third = scratch.take<char>(1);
  for (const void* piece :
       {static_cast<void*>(first), static_cast<void*>(second), static_cast<void*>(third)}) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(piece) % memory::kAlignment, 0u);
  }
  EXPECT_GE(reinterpret_cast<char*>(second), reinterpret_cast<char*>(first + 5));
  EXPECT_GE(third, reinterpret_cast<char*>(second + 3));
  third[0] = 1;
  scratch.reset();
  EXPECT_EQ(scratch.take<float>(1), first);
}

TEST(ScratchTest, GrowsAndNeverShrinks) {
  const std::size_t before = memory::bytesInUse();
  Scratch scratch;
  scratch.reserve(1000);
  EXPECT_EQ(memory::bytesInUse(), before + 1000);
  scratch.reserve(10);
  EXPECT_EQ(memory::bytesInUse(), before + 1000);
  memory::resetPeak();
  scratch.reserve(3000);
  // The old memory is freed before the new memory is allocated.
  EXPECT_EQ(memory::peakBytes(), before + 3000);
}

TEST(ScratchTest, WorkspaceIsSharedAndFreedWithItsLastUser) {
  std::shared_ptr<Workspace> first = Workspace::shared();
  EXPECT_EQ(Workspace::shared(), first);
  const std::size_t before = memory::bytesInUse();
  (*first)[0].reserve(500);
  EXPECT_EQ(memory::bytesInUse(), before + 500);
  first.reset();
  EXPECT_EQ(memory::bytesInUse(), before);
}

class ScheduleTest : public testing::TestWithParam<int> {
 protected:
  ThreadsInScope threads_{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Threads, ScheduleTest, testing::Values(1, 2, 3));

TEST_P(ScheduleTest, RunsStagesInOrder) {
  for (int round = 0; round < 100; ++round) {
    Stages stages;
    stages.schedule.run();
    stages.expectAllDone();
  }
}

TEST_P(ScheduleTest, RunsOnceOnly) {
  Stages stages;
  stages.schedule.run();
  stages.schedule.run();
  EXPECT_TRUE(stages.schedule.advance(1000));
  stages.expectAllDone();
}

TEST_P(ScheduleTest, AdvancesInSlicesAndFinishesByRun) {
  Stages stages;
  EXPECT_FALSE(stages.schedule.advance(0));
  EXPECT_EQ(stages.done[0], 0);
  Index sliced = 0;
  while (stages.done[2] < 3) {
    ASSERT_FALSE(stages.schedule.advance(0.001));
    ASSERT_LT(++sliced, 100000);
  }
  stages.schedule.run();
  stages.expectAllDone();
}

TEST_P(ScheduleTest, FinishesByAdvanceAlone) {
  Stages stages;
  for (int slice = 0; !stages.schedule.advance(0.01); ++slice) ASSERT_LT(slice, 100000);
  stages.expectAllDone();
}

TEST_P(ScheduleTest, RethrowsTheExceptionOfATask) {
  Schedule schedule(workspace());
  std::atomic<int> later = 0;
  schedule.add(30, 0, [](Index task, Scratch&) {
    if (task == 7) throw std::runtime_error("task 7");
  });
  schedule.add(1, 0, [&](Index, Scratch&) { ++later; });
  EXPECT_THROW(schedule.run(), std::runtime_error);
  EXPECT_EQ(later, 0);
  // The workers have been released.
  EXPECT_TRUE(ThreadPool::shared().tryAcquire());
  ThreadPool::shared().release();
}

TEST_P(ScheduleTest, ReportsLackOfScratchBeforeAnyTaskRuns) {
  Schedule schedule(workspace());
  std::atomic<int> runs = 0;
  schedule.add(3, 0, [&](Index, Scratch&) { ++runs; });
  schedule.add(1, Index(1) << 55, [&](Index, Scratch&) { ++runs; });
  EXPECT_TRUE(failsWith(ErrorCode::kOutOfMemory, [&] { schedule.run(); }));
  EXPECT_TRUE(failsWith(ErrorCode::kOutOfMemory, [&] { schedule.advance(1000); }));
  EXPECT_EQ(runs, 0);
  EXPECT_TRUE(ThreadPool::shared().tryAcquire());
  ThreadPool::shared().release();
}

TEST_P(ScheduleTest, RunsAloneIfAnotherThreadHasTheWorkers) {
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
  Schedule schedule(workspace());
  std::atomic<int> elsewhere = 0;
  std::atomic<int> runs = 0;
  const std::thread::id here = std::this_thread::get_id();
  schedule.add(100, 0, [&](Index, Scratch&) {
    ++runs;
    if (std::this_thread::get_id() != here) ++elsewhere;
  });
  schedule.run();
  mayRelease.set_value();
  EXPECT_EQ(runs, 100);
  EXPECT_EQ(elsewhere, 0);
  std::promise<void> released;
  pool.runInBackground([&] { released.set_value(); });
  released.get_future().get();
}

TEST(ScheduleScratchTest, EachTaskHasItsOwnScratch) {
  const ThreadsInScope threads(2);
  Schedule schedule(workspace());
  for (const Index count : {100, 5000, 20}) {
    schedule.add(8, Scratch::bytesFor<float>(count), [count](Index task, Scratch& scratch) {
      float* piece = scratch.take<float>(count);
      std::fill_n(piece, count, static_cast<float>(task));
      std::this_thread::yield();
      for (Index element = 0; element < count; ++element) {
        if (piece[element] != static_cast<float>(task)) throw std::logic_error("shared scratch");
      }
    });
  }
  EXPECT_NO_THROW(schedule.run());
}

}  // namespace cross_attention::test::core_schedule_test
