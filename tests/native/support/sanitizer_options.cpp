/// Read by the address sanitizer where it is linked: an allocation that is too large shall fail as it does without
/// sanitizers, not end the program.
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() { return "allocator_may_return_null=1"; }
