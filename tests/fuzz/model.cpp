// Arbitrary bytes, and changed files, as the file of a denoiser and as a checkpoint.
#include "core/error.hpp"
#include "denoiser/weights_file.hpp"
#include "edited_file.hpp"
#include "support/tiny_denoiser.hpp"
#include "targets.hpp"

namespace cross_attention::fuzz {

namespace {

using File = std::vector<std::byte>;

/// A denoiser and its training after one step.
struct Training {
  Training() { trainer.step(test::tinyBatch<float>(), 0.01); }

  test::TinyDenoiser<float> denoiser;
  denoiser::Trainer<float> trainer{denoiser, {}};
};

void loadModel(Bytes file) {
  try {
    const auto loaded = denoiser::loadDenoiser(file);
    const File saved = denoiser::saveDenoiser(*loaded, "F32");
    const auto again = denoiser::loadDenoiser(saved);
    require(denoiser::saveDenoiser(*again, "F32") == saved, "a saved model differs after loading");
  } catch (const Error& error) {
    require(error.code() == ErrorCode::kWeights, error.what());
  }
}

void loadTraining(Bytes file, const File& before) {
  static Training training;
  denoiser::loadCheckpoint(before, training.denoiser, training.trainer);
  try {
    denoiser::loadCheckpoint(file, training.denoiser, training.trainer);
  } catch (const Error& error) {
    require(error.code() == ErrorCode::kWeights, error.what());
    const File now = denoiser::saveCheckpoint(training.denoiser, training.trainer);
    require(now == before, "a refused checkpoint has changed a training");
  }
}

}  // namespace

void model(Bytes input) {
  static Training valid;
  static const File validModel = denoiser::saveDenoiser(valid.denoiser, "F16");
  static const File validCheckpoint = denoiser::saveCheckpoint(valid.denoiser, valid.trainer);
  loadModel(editedFile(input, validModel));
  loadTraining(editedFile(input, validCheckpoint), validCheckpoint);
}

}  // namespace cross_attention::fuzz
