#pragma once

#include <functional>

namespace cross_attention::test {

/// Runs `call` with the allocation of this number (from 1 on; of operator new and of aligned_alloc, on any thread)
/// failing. What `call` throws comes out. Returns whether there were so many allocations at all.
bool failAllocation(long number, const std::function<void()>& call);

}  // namespace cross_attention::test
