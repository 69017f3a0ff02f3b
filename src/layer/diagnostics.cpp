#include "layer/diagnostics.hpp"

#include "core/text.hpp"
#include "core/thread_pool.hpp"
#include "simd/vector.hpp"

namespace cross_attention::layer {

namespace {

/// Returns for example "input [2, 320, 64, 64], context [2, 77, 768]".
std::string describe(const std::array<NamedShape, 3>& shapes) {
  std::string result;
  for (const NamedShape& named : shapes) {
    if (named.name == nullptr) continue;
    if (!result.empty()) result += ", ";
    result += named.name;
    if (named.shape.rank() > 0) result += text({" ", named.shape});
  }
  return result;
}

void addPass(Diagnostics& result, const char* name, const PassStatistics& pass) {
  if (!pass.happened) return;
  const auto add = [&](const char* suffix, TextPart value) {
    result.emplace_back(text({name, suffix}), text({value}));
  };
  add("Shapes", describe(pass.shapes));
  add("Flops", static_cast<std::int64_t>(pass.flops));
  add("Milliseconds", pass.milliseconds);
  add("GflopsPerSecond", pass.milliseconds > 0 ? pass.flops / pass.milliseconds * 1e-6 : 0.0);
  add("PeakBytes", pass.peakBytes);
  add("BlockSizeQ", pass.tokenBlock);
  add("BlockSizeKV", pass.keyBlock);
}

}  // namespace

Diagnostics diagnose(const Configuration& configuration, const LayerInfo& info,
                     const Statistics& statistics) {
  Diagnostics result;
  const auto add = [&](const char* name, TextPart value) { result.emplace_back(name, text({value})); };
  add("dtype", info.dtype);
  add("simd", simd::kInstructionSet);
  add("tile", text({info.tileRows, " × ", info.tileColumns}));
  add("threads", ThreadPool::shared().threads());
  add("queryDim", configuration.queryDim);
  add("contextDim", configuration.contextDim);
  add("numHeads", configuration.numHeads);
  add("headDim", configuration.headDim());
  add("outputDim", configuration.outputDim());
  add("bias", configuration.bias ? "true" : "false");
  add("outputBias", configuration.outputBias ? "true" : "false");
  if (configuration.hasNorm()) {
    add("queryKeyNorm", configuration.queryKeyNorm == QueryKeyNorm::kLayerNorm ? "layer_norm" : "rms_norm");
    add("normEpsilon", configuration.normEpsilon);
  }
  add("spatialSize", configuration.spatialSize);
  add("scale", configuration.softmaxScale());
  add("parameters", info.parameters);
  add("training", info.training ? "true" : "false");
  addPass(result, "forward", statistics.forward);
  addPass(result, "backward", statistics.backward);
  add("contextHits", statistics.contextHits);
  add("parameterBytes", info.parameterBytes);
  add("gradientBytes", info.gradientBytes);
  if (info.loraBytes > 0) add("loraBytes", info.loraBytes);
  add("packedWeightBytes", info.packedWeightBytes);
  add("contextBytes", info.contextBytes);
  add("activationBytes", info.activationBytes);
  return result;
}

}  // namespace cross_attention::layer
