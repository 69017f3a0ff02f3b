#pragma once

#include <cstddef>
#include <span>
#include <stdexcept>

/// Functions that must accept any bytes. libFuzzer calls them (fuzzer.cpp), and corpus_test.cpp calls them
/// with the files of the corpus. They throw, or fail under a sanitizer, if the core does not behave.
namespace cross_attention::fuzz {

using Bytes = std::span<const std::byte>;

/// Reads a safetensors file and decodes its tensors.
void safetensors(Bytes file);
/// Loads a file of low-rank updates into a tiny denoiser. Throws if a file that was refused has changed the
/// denoiser, or if one that was accepted is not the same after saving and loading.
void lora(Bytes file);
/// Loads a denoiser, and a checkpoint into the trainer of a tiny denoiser. Throws as `lora` does.
void model(Bytes file);
/// Creates a layer and calls it with tensors; the bytes choose the configuration, all shapes and the mask.
void call(Bytes choices);

inline void require(bool condition, const char* message) {
  if (!condition) throw std::logic_error(message);
}

}  // namespace cross_attention::fuzz
