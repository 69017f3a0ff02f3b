#include "denoiser/trainer.hpp"

#include <emscripten/bind.h>

#include "denoiser/scene_batch.hpp"
#include "denoiser/weights_file.hpp"
#include "embind/bytes.hpp"
#include "embind/denoiser_model.hpp"

namespace cross_attention::embind {

namespace {

using denoiser::Denoiser;
using denoiser::Trainer;
using emscripten::allow_raw_pointers;
using emscripten::val;

/// Trains a model on scenes.
struct TrainerHandle {
  std::shared_ptr<Denoiser<float>> denoiser;
  std::uint64_t seed;
  Index batch;
  Trainer<float> trainer;
};

denoiser::TrainerOptions toOptions(std::uint64_t seed, double averageDecay) {
  denoiser::TrainerOptions options;
  options.seed = seed;
  options.adam.averageDecay = averageDecay;
  return options;
}

/// JavaScript deletes the trainer.
TrainerHandle* create(DenoiserModel& model, double seed, double batch, double averageDecay) {
  const auto number = static_cast<std::uint64_t>(seed);
  return new TrainerHandle{model.denoiser, number, static_cast<Index>(batch),
                           Trainer<float>(*model.denoiser, toOptions(number, averageDecay))};
}

/// The loss before the step. The scenes are those that the native program draws at this step.
double step(TrainerHandle& handle, double learningRate) {
  Random random(denoiser::randomSeed(~handle.seed, handle.trainer.adam().step()));
  const auto batch = denoiser::sceneBatch(*handle.denoiser, handle.batch, random);
  return handle.trainer.step(batch, learningRate);
}

double steps(TrainerHandle& handle) { return static_cast<double>(handle.trainer.adam().step()); }

void swapAverages(TrainerHandle& handle) { handle.trainer.adam().swapAverages(); }

Bytes* saveCheckpoint(TrainerHandle& handle) {
  return new Bytes(denoiser::saveCheckpoint(*handle.denoiser, handle.trainer));
}

void loadCheckpoint(TrainerHandle& handle, const Bytes& file) {
  denoiser::loadCheckpoint(file, *handle.denoiser, handle.trainer);
}

}  // namespace

EMSCRIPTEN_BINDINGS(trainer) {
  emscripten::class_<TrainerHandle>("Trainer")
      .class_function("create", &create, allow_raw_pointers())
      .function("step", &step)
      .function("steps", &steps)
      .function("swapAverages", &swapAverages)
      .function("saveCheckpoint", &saveCheckpoint, allow_raw_pointers())
      .function("loadCheckpoint", &loadCheckpoint);
}

}  // namespace cross_attention::embind
