#include <cmath>

#include "denoiser/denoiser.hpp"

namespace cross_attention::denoiser {

namespace {

/// Calls work(index in the picture, index in the patches) for every value.
template <class Work>
void forPatchValues(Index batch, Index size, Index patch, Work work) {
  constexpr Index kChannels = Configuration::kChannels;
  const Index across = size / patch;
  Index index = 0;
  for (Index row = 0; row < batch; ++row) {
    for (Index token = 0; token < across * across; ++token) {
      const Index top = token / across * patch;
      const Index left = token % across * patch;
      for (Index pixel = 0; pixel < patch * patch; ++pixel) {
        const Index place = (top + pixel / patch) * size + left + pixel % patch;
        for (Index channel = 0; channel < kChannels; ++channel) {
          work((row * kChannels + channel) * size * size + place, index++);
        }
      }
    }
  }
}

}  // namespace

template <class T>
Tensor<T> toPatches(const Tensor<T>& pictures, Index patch) {
  const Index batch = pictures.shape()[0];
  const Index size = pictures.shape()[2];
  const Index tokens = (size / patch) * (size / patch);
  Tensor<T> patches(Shape{batch, tokens, patch * patch * Configuration::kChannels});
  forPatchValues(batch, size, patch, [&](Index picture, Index index) {
    patches.data()[index] = pictures.data()[picture];
  });
  return patches;
}

template <class T>
Tensor<T> fromPatches(const Tensor<T>& patches, Index patch) {
  const Index batch = patches.shape()[0];
  const auto across = static_cast<Index>(std::lround(std::sqrt(patches.shape()[1])));
  const Index size = across * patch;
  Tensor<T> pictures(Shape{batch, Configuration::kChannels, size, size});
  forPatchValues(batch, size, patch, [&](Index picture, Index index) {
    pictures.data()[picture] = patches.data()[index];
  });
  return pictures;
}

template Tensor<float> toPatches(const Tensor<float>&, Index);
template Tensor<double> toPatches(const Tensor<double>&, Index);
template Tensor<float> fromPatches(const Tensor<float>&, Index);
template Tensor<double> fromPatches(const Tensor<double>&, Index);

}  // namespace cross_attention::denoiser
