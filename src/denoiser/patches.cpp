#include "denoiser/patches.hpp"

#include <algorithm>
#include <cmath>

namespace cross_attention::denoiser {

namespace {

Index squareRoot(Index square) {
  return static_cast<Index>(std::lround(std::sqrt(static_cast<double>(square))));
}

/// Calls work(pixel, place): the place of a pixel of pictures of size² among those of all patches.
template <class Work>
void forPatchPixels(Index batch, Index size, Index patch, Work work) {
  const Index across = size / patch;
  Index place = 0;
  for (Index row = 0; row < batch; ++row) {
    for (Index token = 0; token < across * across; ++token) {
      const Index top = token / across * patch;
      const Index left = token % across * patch;
      for (Index pixel = 0; pixel < patch * patch; ++pixel) {
        const Index y = top + pixel / patch;
        const Index x = left + pixel % patch;
        work((row * size + y) * size + x, place++);
      }
    }
  }
}

}  // namespace

template <class T>
Tensor<T> toPixels(const Tensor<T>& pictures) {
  const Index batch = pictures.shape()[0];
  const Index channels = pictures.shape()[1];
  const Index count = pictures.shape()[2] * pictures.shape()[3];
  Tensor<T> pixels(Shape{batch, count, channels});
  for (Index i = 0; i < pixels.size(); ++i) {
    const Index row = i / (count * channels);
    const Index pixel = i / channels % count;
    pixels.data()[i] = pictures.data()[(row * channels + i % channels) * count + pixel];
  }
  return pixels;
}

template <class T>
Tensor<T> fromPixels(const Tensor<T>& pixels) {
  const Index batch = pixels.shape()[0];
  const Index count = pixels.shape()[1];
  const Index channels = pixels.shape()[2];
  const Index size = squareRoot(count);
  Tensor<T> pictures(Shape{batch, channels, size, size});
  for (Index i = 0; i < pictures.size(); ++i) {
    const Index row = i / (count * channels);
    const Index channel = i / count % channels;
    pictures.data()[i] = pixels.data()[(row * count + i % count) * channels + channel];
  }
  return pictures;
}

template <class T>
Tensor<T> toPatches(const Tensor<T>& pixels, Index patch) {
  const Index batch = pixels.shape()[0];
  const Index size = squareRoot(pixels.shape()[1]);
  const Index features = pixels.shape()[2];
  const Index across = size / patch;
  Tensor<T> patches(Shape{batch, across * across, patch * patch * features});
  forPatchPixels(batch, size, patch, [&](Index pixel, Index place) {
    const T* from = pixels.data() + pixel * features;
    std::copy(from, from + features, patches.data() + place * features);
  });
  return patches;
}

template <class T>
Tensor<T> fromPatches(const Tensor<T>& patches, Index patch) {
  const Index batch = patches.shape()[0];
  const Index size = squareRoot(patches.shape()[1]) * patch;
  const Index features = patches.shape()[2] / (patch * patch);
  Tensor<T> pixels(Shape{batch, size * size, features});
  forPatchPixels(batch, size, patch, [&](Index pixel, Index place) {
    const T* from = patches.data() + place * features;
    std::copy(from, from + features, pixels.data() + pixel * features);
  });
  return pixels;
}

#define CROSS_ATTENTION_INSTANTIATE(T)                         \
  template Tensor<T> toPixels(const Tensor<T>&);               \
  template Tensor<T> fromPixels(const Tensor<T>&);             \
  template Tensor<T> toPatches(const Tensor<T>&, Index patch); \
  template Tensor<T> fromPatches(const Tensor<T>&, Index patch);
CROSS_ATTENTION_INSTANTIATE(float)
CROSS_ATTENTION_INSTANTIATE(double)
#undef CROSS_ATTENTION_INSTANTIATE

}  // namespace cross_attention::denoiser
