#include "denoiser/trainer.hpp"

#include <emscripten/bind.h>

#include "denoiser/learning_rate.hpp"
#include "denoiser/patches.hpp"
#include "denoiser/scene_batch.hpp"
#include "denoiser/timestep_embedding.hpp"
#include "denoiser/weights_file.hpp"
#include "embind/arrays.hpp"
#include "embind/bytes.hpp"
#include "embind/denoiser_model.hpp"

namespace cross_attention::embind {

namespace {

using denoiser::Batch;
using denoiser::Denoiser;
using denoiser::Trainer;
using emscripten::allow_raw_pointers;
using emscripten::val;

/// A step's batch as arrays. Pictures are pixels [batch, size², 3].
struct Drawn {
  Tensor<float> pictures, noisy, timestepEmbedding, places;
  std::vector<float> weights;
  std::vector<Index> ids;  ///< [batch, maxWords]
};

/// A trainer of a model on scenes, and the objects that it references.
struct TrainerHandle {
  std::shared_ptr<Denoiser<float>> denoiser;
  std::uint64_t seed;
  Index batch;
  denoiser::SceneShares shares;
  Trainer<float> trainer;
  Drawn drawn;

  static TrainerHandle* create(DenoiserModel& model, const val& options);
  Batch<float> scenesOf(Index step) const;
  /// Trains on the next batch, and returns the loss before the step.
  double step(double learningRate);
  val draw(double step);
  double steps() { return static_cast<double>(trainer.adam().step()); }
  void swapEma() { trainer.adam().swapEma(); }
  val adamOptions() const;
  Bytes* saveCheckpoint() { return new Bytes(denoiser::saveCheckpoint(*denoiser, trainer)); }
  void loadCheckpoint(const Bytes& file) { denoiser::loadCheckpoint(file, *denoiser, trainer); }
};

/// `options` must be complete, which the package has checked. The caller owns the result.
TrainerHandle* TrainerHandle::create(DenoiserModel& model, const val& options) {
  const auto number = [&](const char* name) { return options[name].as<double>(); };
  const auto seed = static_cast<std::uint64_t>(number("seed"));
  const denoiser::TrainerOptions trainerOptions{.seed = seed,
                                                .adam = {.emaDecay = number("averageDecay")},
                                                .timeMean = number("timeMean"),
                                                .timeDeviation = number("timeDeviation"),
                                                .alignment = number("alignment")};
  return new TrainerHandle{model.denoiser,
                           seed,
                           static_cast<Index>(number("batch")),
                           {number("singles"), number("insides")},
                           Trainer<float>(*model.denoiser, trainerOptions),
                           {}};
}

Batch<float> TrainerHandle::scenesOf(Index step) const {
  Random random(denoiser::randomSeed(~seed, step));
  return denoiser::sceneBatch(*denoiser, batch, random, shares);
}

double TrainerHandle::step(double learningRate) {
  return trainer.step(scenesOf(trainer.adam().step()), learningRate);
}

/// Returns the batch of step `step`, for a step that is computed elsewhere: views that are valid until the
/// next draw of this trainer.
val TrainerHandle::draw(double step) {
  const auto number = static_cast<Index>(step);
  const Batch<float> scenes = scenesOf(number);
  Random random(denoiser::randomSeed(seed, number));
  const auto noisy = trainer.addNoise(scenes, random);
  const denoiser::Prompts prompts(noisy.prompts, denoiser->configuration().maxWords);
  drawn = {denoiser::toPixels(scenes.pictures),
           denoiser::toPixels(noisy.noisy),
           denoiser::timestepEmbedding<float>(noisy.times),
           scenes.places,
           noisy.weights,
           {prompts.ids.begin(), prompts.ids.end()}};
  val result = val::object();
  const auto set = [&](const char* name, const auto& values) {
    result.set(name, toView(std::span(values.data(), static_cast<std::size_t>(values.size()))));
  };
  set("pictures", drawn.pictures);
  set("noisy", drawn.noisy);
  set("timestepEmbedding", drawn.timestepEmbedding);
  set("places", drawn.places);
  set("weights", drawn.weights);
  set("ids", drawn.ids);
  return result;
}

/// Returns Adam's options.
val TrainerHandle::adamOptions() const {
  const operators::AdamOptions& options = trainer.options().adam;
  val result = val::object();
  result.set("beta1", options.beta1);
  result.set("beta2", options.beta2);
  result.set("epsilon", options.epsilon);
  result.set("maxGradientNorm", options.maxGradientNorm);
  result.set("averageDecay", options.emaDecay);
  return result;
}

double learningRate(double step, double peak, double warmUp, double steps, double decay) {
  return denoiser::learningRate(static_cast<Index>(step), {peak, warmUp, steps, decay});
}

}  // namespace

EMSCRIPTEN_BINDINGS(trainer) {
  emscripten::class_<TrainerHandle>("Trainer")
      .class_function("create", &TrainerHandle::create, allow_raw_pointers())
      .function("step", &TrainerHandle::step)
      .function("draw", &TrainerHandle::draw)
      .function("adamOptions", &TrainerHandle::adamOptions)
      .function("steps", &TrainerHandle::steps)
      .function("swapEma", &TrainerHandle::swapEma)
      .function("saveCheckpoint", &TrainerHandle::saveCheckpoint, allow_raw_pointers())
      .function("loadCheckpoint", &TrainerHandle::loadCheckpoint);
  emscripten::function("learningRate", &learningRate);
}

}  // namespace cross_attention::embind
