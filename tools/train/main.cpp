// Trains the denoiser on scenes, at the speed of this machine's own vectors. Driven by npm run train (tools/train.mjs),
// which it tells of every step in a line of JSON.
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

/// "name=value" from the command line, all of which tools/train.mjs gives.
class Options {
 public:
  Options(int count, char** arguments) {
    for (int i = 1; i < count; ++i) {
      const std::string argument = arguments[i];
      const std::size_t place = argument.find('=');
      if (place == std::string::npos) failArgument({"'", argument, "'; it takes name=value"});
      values_[argument.substr(0, place)] = argument.substr(place + 1);
    }
  }
  const std::string& text(const std::string& name) const {
    const auto found = values_.find(name);
    if (found == values_.end()) failArgument({"the option ", name, " is missing"});
    return found->second;
  }
  double number(const std::string& name) const {
    const std::string& value = text(name);
    char* end = nullptr;
    const double number = std::strtod(value.c_str(), &end);
    if (value.empty() || *end != 0) failArgument({name, " is '", value, "'; it takes a number"});
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

/// First beside the file, then in its place: a crash leaves the old one.
void write(const std::string& path, const std::vector<std::byte>& bytes) {
  const std::string unfinished = path + ".unfinished";
  std::ofstream file(unfinished, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
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
  trainer.adam().swapAverages();
  write(options.text("weights"), denoiser::saveDenoiser(model, "F16"));
  trainer.adam().swapAverages();
}

struct Losses {
  double picture, places;
};

/// A step's batch in parts of kPartScenes: each has random numbers of its own, so that what is learned is the same for any
/// number of processes.
class Parts {
 public:
  explicit Parts(const Options& options)
      : seed_(static_cast<std::uint64_t>(options.number("seed"))),
        shares_{options.number("singles"), options.number("insides")},
        count_(options.integer("batch") / kPartScenes) {
    if (count_ < 1 || count_ * kPartScenes != options.integer("batch")) {
      failArgument({"batch is ", options.text("batch"), "; it takes a multiple of ", kPartScenes});
    }
    if (shares_.singles < 0 || shares_.insides < 0 || shares_.singles + shares_.insides > 1) {
      failArgument({"singles and insides are ", shares_.singles, " and ", shares_.insides,
                    "; they take shares of the scenes, together at most 1"});
    }
  }

  Index count() const { return count_; }
  /// Of all parts' gradients and losses.
  std::size_t bytes(Index parameters) const {
    return static_cast<std::size_t>(count_ * (parameters + 2)) * sizeof(float);
  }

  /// Sets the gradients to those of the whole batch; returns its losses.
  Losses learn(Denoiser<float>& model, Trainer<float>& trainer, Processes& processes) const {
    const Index parameters = model.parameters().size();
    auto* gradients = static_cast<float*>(processes.memory());
    float* losses = gradients + count_ * parameters;
    for (Index part = processes.number(); part < count_; part += processes.count()) {
      const auto number = trainer.adam().step() * count_ + part;
      Random scenes(denoiser::randomSeed(~seed_, number));
      Random noise(denoiser::randomSeed(seed_, number));
      const auto batch = denoiser::sceneBatch(model, kPartScenes, scenes, shares_);
      losses[part] = static_cast<float>(trainer.loss(batch, noise, true));
      losses[count_ + part] = static_cast<float>(trainer.placesLoss());
      float* place = gradients + part * parameters;
      for (auto& parameter : model.parameters()) {
        place = std::copy(parameter.gradient.begin(), parameter.gradient.end(), place);
      }
      model.parameters().clearGradients();
    }
    processes.meet();
    const auto share = 1 / static_cast<float>(count_);
    for (Index part = 0; part < count_; ++part) {
      const float* place = gradients + part * parameters;
      for (auto& parameter : model.parameters()) {
        for (float& slope : parameter.gradient) slope += share * *place++;
      }
    }
    const Losses all{std::accumulate(losses, losses + count_, 0.0) * share,
                     std::accumulate(losses + count_, losses + 2 * count_, 0.0) * share};
    // Nobody writes the next step's before all have read these.
    processes.meet();
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
  if (from.empty() && !fromPath.empty())
    failArgument({"from is '", fromPath, "', which cannot be read"});
  const std::unique_ptr<Denoiser<float>> made =
      from.empty()
          ? std::make_unique<Denoiser<float>>(configuration, denoiser::sceneVocabulary(), seed)
          : denoiser::loadDenoiser(from);
  Denoiser<float>& model = *made;
  Trainer<float> trainer(model, {.seed = seed,
                                 .adam = {.averageDecay = options.number("average-decay")},
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
  const bool isFirst = processes.number() == 0;
  if (isFirst) {
    report("{\"parameters\":%td,\"step\":%td,\"steps\":%td}\n", model.parameters().size(),
           trainer.adam().step(), steps);
  }
  for (Index step = trainer.adam().step(); step < steps; ++step) {
    const auto start = std::chrono::steady_clock::now();
    const Losses losses = parts.learn(model, trainer, processes);
    const double norm = trainer.adam().update(denoiser::learningRate(step, rates));
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    if (!isFirst) continue;
    report("{\"step\":%td,\"loss\":%.6f,\"places\":%.6f,\"gradientNorm\":%.4f,\"seconds\":%.4f}\n",
           step + 1, losses.picture, losses.places, norm, seconds.count());
    if ((step + 1) % saveEvery == 0 || step + 1 == steps) save(model, trainer, options);
  }
}

}  // namespace

int main(int count, char** arguments) {
  // A step's tensors are as large as the last one's: kept, not given back to the system and asked for again.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  try {
    train(Options(count, arguments));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
