#pragma once

#include <functional>

namespace cross_attention::test {

/// Runs `call` and lets allocation `number` fail. Counting starts at 1 and includes operator new and
/// aligned_alloc on all threads. Rethrows the exceptions of `call`. Returns false if there were fewer
/// allocations.
bool failAllocation(long number, const std::function<void()>& call);

}  // namespace cross_attention::test
