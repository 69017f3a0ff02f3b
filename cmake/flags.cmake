# Compiler and linker flags of all our targets.
add_library(cross_attention_flags INTERFACE)
target_link_libraries(cross_attention_flags INTERFACE cross_attention_dependencies)
target_compile_features(cross_attention_flags INTERFACE cxx_std_20)
target_compile_options(cross_attention_flags INTERFACE
  -Wall -Wextra -Wconversion -Wshadow
  # Results must not depend on which products a compiler happens to fuse.
  -ffp-contract=off)

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 takes the undefined registers within its own AVX-512 headers for a mistake of ours.
  target_compile_options(cross_attention_flags INTERFACE -Wno-uninitialized -Wno-maybe-uninitialized)
  if(CROSS_ATTENTION_UNITY)
    # GCC takes the sources that a unity file includes for headers, in which unnamed namespaces would be a mistake.
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
  # The first encoding of WebAssembly's exceptions: Node 20 and Safari before 18.4 know no other.
  set(exceptions -fwasm-exceptions -sWASM_LEGACY_EXCEPTIONS=1)
  # Type names are a tenth of the download, and nobody asks for them. At the link, too: it chooses Embind's library.
  # Statics are made by init, on one thread.
  target_compile_options(cross_attention_flags INTERFACE ${exceptions} -fno-rtti
    -fno-threadsafe-statics)
  target_link_options(cross_attention_flags INTERFACE ${exceptions} -fno-rtti)
  # All of ours is optimised once more at the link, as one program: 4 % smaller. Not so Emscripten's libraries (no -flto
  # for the linker), whose versions for it would have to be built first.
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
  # Wrong reports: default member initializers of aggregates, initializers without inner braces.
  target_compile_options(cross_attention_flags INTERFACE -Wno-uninitialized -Wno-missing-braces)
endif()

if(CROSS_ATTENTION_SANITIZE)
  # Without pointer-overflow: RapidJSON and views of empty buffers add offsets to null pointers that they never read.
  set(sanitizers -fsanitize=address,undefined -fno-sanitize=pointer-overflow -fno-sanitize-recover=all
    -fno-omit-frame-pointer)
  target_compile_options(cross_attention_flags INTERFACE ${sanitizers})
  target_link_options(cross_attention_flags INTERFACE ${sanitizers})
endif()

# Compiles the sources of a target in batches, as unity files: the headers are then parsed once for a batch, which is
# most of the compile time (one variant: 242 s of processor time without unity files, 100 s with them).
function(use_unity_files target)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${CROSS_ATTENTION_UNITY} UNITY_BUILD_BATCH_SIZE 12)
endfunction()
