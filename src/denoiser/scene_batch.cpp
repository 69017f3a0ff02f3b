#include "denoiser/scene_batch.hpp"

#include "denoiser/scene_places.hpp"
#include "scenes/caption.hpp"
#include "scenes/draw.hpp"
#include "scenes/random_scene.hpp"
#include "scenes/vocabulary.hpp"

namespace cross_attention::denoiser {

Vocabulary sceneVocabulary() {
  const auto words = scenes::vocabulary();
  return Vocabulary(std::vector<std::string>(words.begin(), words.end()));
}

namespace {

scenes::Scene trainingScene(Random& random, const SceneShares& shares) {
  const auto draw = [&](int objects) {
    return scenes::randomScene(random, scenes::Split::kTraining, objects);
  };
  if (shares.singles + shares.insides == 0) return draw(0);
  const double place = random.uniform();
  if (place < shares.singles) return draw(1);
  if (place >= shares.singles + shares.insides) return draw(0);
  for (;;) {
    scenes::Scene scene = draw(2);
    if (scene.links[0].relation == scenes::Relation::kInside) return scene;
  }
}

}  // namespace

template <class T>
Batch<T> sceneBatch(const Denoiser<T>& denoiser, Index size, Random& random, const SceneShares& shares) {
  const Configuration& configuration = denoiser.configuration();
  const Index side = configuration.imageSize;
  const Index values = Configuration::kChannels * side * side;
  const Index placeValues = configuration.tokens() * kPlaceValues;
  Batch<T> batch{Tensor<T>(Shape{size, Configuration::kChannels, side, side}),
                 {},
                 Tensor<T>(Shape{size, configuration.tokens(), kPlaceValues})};
  std::vector<float> picture(static_cast<std::size_t>(values));
  for (Index row = 0; row < size; ++row) {
    const scenes::Scene scene = trainingScene(random, shares);
    scenes::draw(scene, side, picture);
    describePlaces<T>(scene, configuration,
                      {batch.places.data() + row * placeValues, static_cast<std::size_t>(placeValues)});
    std::copy(picture.begin(), picture.end(), batch.pictures.data() + row * values);
    batch.prompts.push_back(
        denoiser.vocabulary().encode(scenes::caption(scene, random), configuration.maxWords));
  }
  return batch;
}

template Batch<float> sceneBatch(const Denoiser<float>&, Index, Random&, const SceneShares&);
template Batch<double> sceneBatch(const Denoiser<double>&, Index, Random&, const SceneShares&);

}  // namespace cross_attention::denoiser
