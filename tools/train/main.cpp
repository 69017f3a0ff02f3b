// Trains the denoiser on scenes with native code, which uses all SIMD instructions of this machine.
// tools/train.mjs (npm run train) starts this program and reads its progress: one line of JSON per step.
#include <malloc.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <numeric>
#include <string>

#include "core/error.hpp"
#include "denoiser/learning_rate.hpp"
#include "denoiser/scene_batch.hpp"
#include "denoiser/weights_file.hpp"
#include "processes.hpp"

namespace {

using namespace cross_attention;
using denoiser::Denoiser;
using denoiser::Trainer;

/// Options of the command line, "name=value". tools/train.mjs passes all of them.
class Options {
 public:
  Options(int count, char** arguments) {
    for (int i = 1; i < count; ++i) {
      const std::string argument = arguments[i];
      const std::size_t separator = argument.find('=');
      if (separator == std::string::npos) {
        failArgument({"argument is '", argument, "'; expected name=value"});
      }
      values_[argument.substr(0, separator)] = argument.substr(separator + 1);
    }
  }
  const std::string& text(const std::string& name) const {
    const auto found = values_.find(name);
    if (found == values_.end()) failArgument({"option ", name, " is missing; expected ", name, "=value"});
    return found->second;
  }
  double number(const std::string& name) const {
    const std::string& value = text(name);
    char* end = nullptr;
    const double number = std::strtod(value.c_str(), &end);
    if (value.empty() || *end != 0) failArgument({name, " is '", value, "'; expected a number"});
    return number;
  }
  Index integer(const std::string& name) const { return static_cast<Index>(number(name)); }

 private:
  std::map<std::string, std::string> values_;
};

denoiser::LearningRateOptions learningRates(const Options& options) {
  return {.most = options.number("learning-rate"),
          .warmUp = options.number("warm-up"),
          .steps = options.number("steps"),
          .fall = options.number("fall")};
}

/// Writes a file atomically: a crash leaves the old file.
void write(const std::string& path, const std::vector<std::byte>& bytes) {
  const std::string unfinished = path + ".unfinished";
  std::ofstream file(unfinished, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file || std::rename(unfinished.c_str(), path.c_str()) != 0) {
    failArgument({"'", path, "' cannot be written"});
  }
}

std::vector<std::byte> read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
  return {bytes, bytes + text.size()};
}

void save(Denoiser<float>& model, Trainer<float>& trainer, const Options& options) {
  write(options.text("checkpoint"), denoiser::saveCheckpoint(model, trainer));
  trainer.adam().swapEma();
  write(options.text("weights"), denoiser::saveDenoiser(model, "F16"));
  trainer.adam().swapEma();
}

struct Losses {
  double picture, alignment;
};

/// Splits the batch of a step into parts of kPartScenes scenes. Each part has a separate random number
/// generator, so that the result does not depend on the number of processes.
class Parts {
 public:
  explicit Parts(const Options& options)
      : seed_(static_cast<std::uint64_t>(options.number("seed"))),
        shares_{options.number("singles"), options.number("insides")},
        count_(options.integer("batch") / kPartScenes) {
    if (count_ < 1 || count_ * kPartScenes != options.integer("batch")) {
      failArgument({"batch is ", options.text("batch"), "; expected a multiple of ", kPartScenes});
    }
    if (shares_.singles < 0 || shares_.insides < 0 || shares_.singles + shares_.insides > 1) {
      failArgument({"singles and insides are ", shares_.singles, " and ", shares_.insides,
                    "; expected shares from 0 to 1 with a sum of at most 1"});
    }
  }

  Index count() const { return count_; }
  /// Returns the size of the gradients and losses of all parts.
  std::size_t bytes(Index parameters) const {
    return static_cast<std::size_t>(count_ * (parameters + 2)) * sizeof(float);
  }

  /// Sets the gradients to those of the whole batch. Returns its losses.
  Losses computeGradients(Denoiser<float>& model, Trainer<float>& trainer, Processes& processes) const {
    const Index parameters = model.parameters().size();
    auto* gradients = static_cast<float*>(processes.memory());
    float* losses = gradients + count_ * parameters;
    for (Index part = processes.rank(); part < count_; part += processes.count()) {
      const auto number = trainer.adam().step() * count_ + part;
      Random scenes(denoiser::randomSeed(~seed_, number));
      Random noise(denoiser::randomSeed(seed_, number));
      const auto batch = denoiser::sceneBatch(model, kPartScenes, scenes, shares_);
      losses[part] = static_cast<float>(trainer.loss(batch, noise, true));
      losses[count_ + part] = static_cast<float>(trainer.placesLoss());
      float* target = gradients + part * parameters;
      for (auto& parameter : model.parameters()) {
        target = std::copy(parameter.gradient.begin(), parameter.gradient.end(), target);
      }
      model.parameters().clearGradients();
    }
    processes.barrier();
    const auto share = 1 / static_cast<float>(count_);
    for (Index part = 0; part < count_; ++part) {
      const float* source = gradients + part * parameters;
      for (auto& parameter : model.parameters()) {
        for (float& gradient : parameter.gradient) gradient += share * *source++;
      }
    }
    const Losses all{std::accumulate(losses, losses + count_, 0.0) * share,
                     std::accumulate(losses + count_, losses + 2 * count_, 0.0) * share};
    // All processes must read these gradients before any process writes those of the next step.
    processes.barrier();
    return all;
  }

 private:
  static constexpr Index kPartScenes = 16;

  std::uint64_t seed_;
  denoiser::SceneShares shares_;
  Index count_;
};

template <class... Values>
void report(const char* format, Values... values) {
  std::printf(format, values...);
  std::fflush(stdout);
}

void train(const Options& options) {
  const Parts parts(options);
  const auto seed = static_cast<std::uint64_t>(options.number("seed"));
  denoiser::Configuration configuration;
  configuration.pixelFeatures = options.integer("pixel-features");
  configuration.pixelBlocks = options.integer("pixel-blocks");
  configuration.features = options.integer("features");
  configuration.blocks = options.integer("blocks");
  configuration.numHeads = options.integer("heads");
  const std::string& fromPath = options.text("from");
  const std::vector<std::byte> from = read(fromPath);
  if (from.empty() && !fromPath.empty()) failArgument({"from is '", fromPath, "'; expected a readable file"});
  const std::unique_ptr<Denoiser<float>> owner =
      from.empty() ? std::make_unique<Denoiser<float>>(configuration, denoiser::sceneVocabulary(), seed)
                   : denoiser::loadDenoiser(from);
  Denoiser<float>& model = *owner;
  Trainer<float> trainer(model, {.seed = seed,
                                 .adam = {.emaDecay = options.number("average-decay")},
                                 .timeMean = options.number("time-mean"),
                                 .timeDeviation = options.number("time-deviation"),
                                 .alignment = options.number("alignment")});
  const std::vector<std::byte> checkpoint = read(options.text("checkpoint"));
  if (!checkpoint.empty()) denoiser::loadCheckpoint(checkpoint, model, trainer);

  Processes processes(static_cast<int>(std::min(options.integer("threads"), parts.count())),
                      parts.bytes(model.parameters().size()));
  const Index steps = options.integer("steps");
  const denoiser::LearningRateOptions rates = learningRates(options);
  const Index saveEvery = options.integer("save-every");
  const bool isFirst = processes.rank() == 0;
  if (isFirst) {
    report("{\"parameters\":%td,\"step\":%td,\"steps\":%td}\n", model.parameters().size(),
           trainer.adam().step(), steps);
  }
  for (Index step = trainer.adam().step(); step < steps; ++step) {
    const auto start = std::chrono::steady_clock::now();
    const Losses losses = parts.computeGradients(model, trainer, processes);
    const double norm = trainer.adam().update(denoiser::learningRate(step, rates));
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    if (!isFirst) continue;
    report("{\"step\":%td,\"loss\":%.6f,\"alignment\":%.6f,\"gradientNorm\":%.4f,\"seconds\":%.4f}\n",
           step + 1, losses.picture, losses.alignment, norm, seconds.count());
    if ((step + 1) % saveEvery == 0 || step + 1 == steps) save(model, trainer, options);
  }
}

}  // namespace

int main(int count, char** arguments) {
  // All steps have tensors of the same sizes: malloc keeps freed memory instead of returning it to the
  // system.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  try {
    train(Options(count, arguments));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
