#include "denoiser/scene_batch.hpp"

#include "scenes/caption.hpp"
#include "scenes/draw.hpp"
#include "scenes/random_scene.hpp"
#include "scenes/vocabulary.hpp"

namespace cross_attention::denoiser {

Vocabulary sceneVocabulary() {
  const auto words = scenes::vocabulary();
  return Vocabulary(std::vector<std::string>(words.begin(), words.end()));
}

template <class T>
Batch<T> sceneBatch(const Denoiser<T>& denoiser, Index size, Random& random) {
  const Configuration& configuration = denoiser.configuration();
  const Index side = configuration.imageSize;
  const Index values = Configuration::kChannels * side * side;
  Batch<T> batch{Tensor<T>(Shape{size, Configuration::kChannels, side, side}), {}};
  std::vector<float> picture(static_cast<std::size_t>(values));
  for (Index row = 0; row < size; ++row) {
    const scenes::Scene scene = scenes::randomScene(random, scenes::Split::kTraining);
    scenes::draw(scene, side, picture);
    std::copy(picture.begin(), picture.end(), batch.pictures.data() + row * values);
    batch.prompts.push_back(
        denoiser.vocabulary().encode(scenes::caption(scene, random), configuration.mostWords));
  }
  return batch;
}

template Batch<float> sceneBatch(const Denoiser<float>&, Index, Random&);
template Batch<double> sceneBatch(const Denoiser<double>&, Index, Random&);

}  // namespace cross_attention::denoiser
