# The header-only libraries of the core: xsimd (SIMD) and RapidJSON (headers of safetensors files). Taken from
# CROSS_ATTENTION_INCLUDE or the system, otherwise downloaded. The same applies to GoogleTest for the native
# tests.

find_path(XSIMD_INCLUDE xsimd/xsimd.hpp HINTS "${CROSS_ATTENTION_INCLUDE}" NO_CMAKE_FIND_ROOT_PATH)
find_path(RAPIDJSON_INCLUDE rapidjson/reader.h HINTS "${CROSS_ATTENTION_INCLUDE}"
  NO_CMAKE_FIND_ROOT_PATH)

if(XSIMD_INCLUDE)
  file(STRINGS "${XSIMD_INCLUDE}/xsimd/config/xsimd_config.hpp" version
    REGEX "define XSIMD_VERSION_MAJOR")
  string(REGEX MATCH "[0-9]+" version "${version}")
  if(version LESS 14)
    message(STATUS "xsimd ${version} in ${XSIMD_INCLUDE} is too old; version 14 or newer is required")
    set(XSIMD_INCLUDE "XSIMD_INCLUDE-NOTFOUND")
  endif()
endif()

include(FetchContent)
if(NOT XSIMD_INCLUDE)
  FetchContent_Declare(xsimd GIT_REPOSITORY https://github.com/xtensor-stack/xsimd.git GIT_TAG 14.0.0
    GIT_SHALLOW TRUE SOURCE_SUBDIR none)
  FetchContent_MakeAvailable(xsimd)
  set(XSIMD_INCLUDE "${xsimd_SOURCE_DIR}/include")
endif()
if(NOT RAPIDJSON_INCLUDE)
  # The last release (2016) does not compile as C++20; the main branch does.
  FetchContent_Declare(rapidjson GIT_REPOSITORY https://github.com/Tencent/rapidjson.git
    GIT_TAG 24b5e7a8b27f42fa16b96fc70aade9106cf7102f SOURCE_SUBDIR none)
  FetchContent_MakeAvailable(rapidjson)
  set(RAPIDJSON_INCLUDE "${rapidjson_SOURCE_DIR}/include")
endif()

add_library(cross_attention_dependencies INTERFACE)
target_include_directories(cross_attention_dependencies SYSTEM INTERFACE
  "${XSIMD_INCLUDE}" "${RAPIDJSON_INCLUDE}")

if(CROSS_ATTENTION_BUILD_TESTS)
  find_package(GTest QUIET)
  if(NOT GTest_FOUND)
    FetchContent_Declare(googletest GIT_REPOSITORY https://github.com/google/googletest.git
      GIT_TAG v1.14.0 GIT_SHALLOW TRUE)
    set(INSTALL_GTEST OFF)
    FetchContent_MakeAvailable(googletest)
  endif()
endif()
