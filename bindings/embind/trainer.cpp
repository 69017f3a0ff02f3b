#include "denoiser/trainer.hpp"

#include <emscripten/bind.h>

#include "denoiser/learning_rate.hpp"
#include "denoiser/patches.hpp"
#include "denoiser/scene_batch.hpp"
#include "denoiser/time_waves.hpp"
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

/// A step's batch as arrays; pictures are pixels [batch, size², 3].
struct Drawn {
  Tensor<float> pictures, noisy, timeWaves, places;
  std::vector<float> weights;
  std::vector<Index> ids;  ///< [batch, mostWords]
};

/// Trains a model on scenes.
struct TrainerHandle {
  std::shared_ptr<Denoiser<float>> denoiser;
  std::uint64_t seed;
  Index batch;
  denoiser::SceneShares shares;
  Trainer<float> trainer;
  Drawn drawn;
};

/// `options`: all of them, which the package has checked. JavaScript deletes the trainer.
TrainerHandle* create(DenoiserModel& model, const val& options) {
  const auto number = [&](const char* name) { return options[name].as<double>(); };
  const auto seed = static_cast<std::uint64_t>(number("seed"));
  const denoiser::TrainerOptions given{.seed = seed,
                                       .adam = {.averageDecay = number("averageDecay")},
                                       .timeMean = number("timeMean"),
                                       .timeDeviation = number("timeDeviation"),
                                       .alignment = number("alignment")};
  return new TrainerHandle{model.denoiser,
                           seed,
                           static_cast<Index>(number("batch")),
                           {number("singles"), number("insides")},
                           Trainer<float>(*model.denoiser, given),
                           {}};
}

Batch<float> scenesOf(const TrainerHandle& handle, Index step) {
  Random random(denoiser::randomSeed(~handle.seed, step));
  return denoiser::sceneBatch(*handle.denoiser, handle.batch, random, handle.shares);
}

/// The loss before the step.
double step(TrainerHandle& handle, double learningRate) {
  const Batch<float> batch = scenesOf(handle, handle.trainer.adam().step());
  return handle.trainer.step(batch, learningRate);
}

/// What step number `step` learns from, for a step that is taken elsewhere: views, good until the next one of this trainer.
val draw(TrainerHandle& handle, double step) {
  const auto number = static_cast<Index>(step);
  const Batch<float> batch = scenesOf(handle, number);
  Random random(denoiser::randomSeed(handle.seed, number));
  const auto noisy = handle.trainer.addNoise(batch, random);
  const denoiser::Prompts prompts(noisy.prompts, handle.denoiser->configuration().mostWords);
  handle.drawn = {denoiser::toPixels(batch.pictures),
                  denoiser::toPixels(noisy.noisy),
                  denoiser::timeWaves<float>(noisy.times),
                  batch.places,
                  noisy.weights,
                  {prompts.ids.begin(), prompts.ids.end()}};
  const Drawn& drawn = handle.drawn;
  val result = val::object();
  const auto set = [&](const char* name, const auto& values) {
    result.set(name, toView(std::span(values.data(), static_cast<std::size_t>(values.size()))));
  };
  set("pictures", drawn.pictures);
  set("noisy", drawn.noisy);
  set("timeWaves", drawn.timeWaves);
  set("places", drawn.places);
  set("weights", drawn.weights);
  set("ids", drawn.ids);
  return result;
}

/// Of Adam, as TrainerOptions begins with them.
val adamOptions(const TrainerHandle& handle) {
  const operators::AdamOptions& options = handle.trainer.options().adam;
  val result = val::object();
  result.set("beta1", options.beta1);
  result.set("beta2", options.beta2);
  result.set("epsilon", options.epsilon);
  result.set("mostGradientNorm", options.mostGradientNorm);
  result.set("averageDecay", options.averageDecay);
  return result;
}

double steps(TrainerHandle& handle) { return static_cast<double>(handle.trainer.adam().step()); }

void swapAverages(TrainerHandle& handle) { handle.trainer.adam().swapAverages(); }

Bytes* saveCheckpoint(TrainerHandle& handle) {
  return new Bytes(denoiser::saveCheckpoint(*handle.denoiser, handle.trainer));
}

void loadCheckpoint(TrainerHandle& handle, const Bytes& file) {
  denoiser::loadCheckpoint(file, *handle.denoiser, handle.trainer);
}

double learningRate(double step, double most, double warmUp, double steps, double fall) {
  return denoiser::learningRate(static_cast<Index>(step), {most, warmUp, steps, fall});
}

}  // namespace

EMSCRIPTEN_BINDINGS(trainer) {
  emscripten::class_<TrainerHandle>("Trainer")
      .class_function("create", &create, allow_raw_pointers())
      .function("step", &step)
      .function("draw", &draw)
      .function("adamOptions", &adamOptions)
      .function("steps", &steps)
      .function("swapAverages", &swapAverages)
      .function("saveCheckpoint", &saveCheckpoint, allow_raw_pointers())
      .function("loadCheckpoint", &loadCheckpoint);
  emscripten::function("learningRate", &learningRate);
}

}  // namespace cross_attention::embind
