/// The sanitizers of addresses and of threads call these functions if they are linked. An allocation that is
/// too large must fail as it does without sanitizers and not end the program.
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() { return "allocator_may_return_null=1"; }
extern "C" const char* __tsan_default_options();
extern "C" const char* __tsan_default_options() { return "allocator_may_return_null=1"; }
