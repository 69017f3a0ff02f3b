# Compiler and linker flags of all targets.
add_library(cross_attention_flags INTERFACE)
target_link_libraries(cross_attention_flags INTERFACE cross_attention_dependencies)
target_compile_features(cross_attention_flags INTERFACE cxx_std_20)
target_compile_options(cross_attention_flags INTERFACE
  -Wall -Wextra -Wconversion -Wshadow
  # Results must not depend on which products a compiler fuses.
  -ffp-contract=off)

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 reports the undefined registers in its own AVX-512 headers as uninitialized variables.
  target_compile_options(cross_attention_flags INTERFACE -Wno-uninitialized -Wno-maybe-uninitialized)
  if(CROSS_ATTENTION_UNITY)
    # GCC treats the sources included in a unity file as headers, and warns about their unnamed namespaces.
    target_compile_options(cross_attention_flags INTERFACE -Wno-subobject-linkage)
  endif()
endif()

if(CROSS_ATTENTION_SIMD STREQUAL "native")
  target_compile_options(cross_attention_flags INTERFACE -march=native)
else()
  target_compile_options(cross_attention_flags INTERFACE -msimd128
    $<$<STREQUAL:${CROSS_ATTENTION_SIMD},relaxed>:-mrelaxed-simd>)
endif()

if(EMSCRIPTEN)
  # The legacy encoding of WebAssembly exceptions: Node 20 and Safari before 18.4 support no other.
  set(exceptions -fwasm-exceptions -sWASM_LEGACY_EXCEPTIONS=1)
  # Type names would be a tenth of the download and are unused. -fno-rtti is also a link option because it
  # selects Embind's library. Statics need no guards: init creates them on one thread.
  target_compile_options(cross_attention_flags INTERFACE ${exceptions} -fno-rtti
    -fno-threadsafe-statics)
  target_link_options(cross_attention_flags INTERFACE ${exceptions} -fno-rtti)
  # Link-time optimization of our code makes the modules 4 % smaller. Emscripten's libraries are excluded (no
  # -flto at the link), because their LTO versions would have to be built first.
  if(CROSS_ATTENTION_LTO)
    target_compile_options(cross_attention_flags INTERFACE -flto)
  endif()
endif()

if(CROSS_ATTENTION_THREADS)
  find_package(Threads REQUIRED)
  target_compile_options(cross_attention_flags INTERFACE -pthread)
  target_link_options(cross_attention_flags INTERFACE -pthread)
endif()

if(CMAKE_CXX_COMPILER_ID MATCHES "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 16)
  # False positives: default member initializers of aggregates, initializers without inner braces.
  target_compile_options(cross_attention_flags INTERFACE -Wno-uninitialized -Wno-missing-braces)
endif()

if(CROSS_ATTENTION_SANITIZE)
  # Without pointer-overflow: RapidJSON and views of empty buffers add offsets to null pointers that they
  # never dereference.
  set(sanitizers -fsanitize=${CROSS_ATTENTION_SANITIZERS} -fno-sanitize=pointer-overflow
    -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_compile_options(cross_attention_flags INTERFACE ${sanitizers})
  target_link_options(cross_attention_flags INTERFACE ${sanitizers})
endif()

# Compiles the sources of a target in batches, as unity files. Headers are then parsed once per batch, and
# they dominate the compile time: one variant takes 242 s of CPU time without unity files and 100 s with them.
function(use_unity_files target)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${CROSS_ATTENTION_UNITY} UNITY_BUILD_BATCH_SIZE 12)
endfunction()
