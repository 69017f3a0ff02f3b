/// AddressSanitizer calls this function if it is linked. An allocation that is too large must fail as it does
/// without sanitizers and not end the program.
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() { return "allocator_may_return_null=1"; }
