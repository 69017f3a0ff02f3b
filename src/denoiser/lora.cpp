#include "denoiser/lora.hpp"

#include <cmath>

#include "core/error.hpp"

namespace cross_attention::denoiser {

using operators::Initial;

namespace {

constexpr std::string_view kWeight = ".weight";

Index checkedRank(Index rank) {
  if (rank < 1 || rank > Lora::kMostRank) {
    failArgument({"rank is ", rank, "; it takes 1 to ", Lora::kMostRank});
  }
  return rank;
}

}  // namespace

Lora::Lora(Denoiser<float>& denoiser, Index rank, std::uint64_t seed)
    : denoiser_(denoiser), rank_(checkedRank(rank)), parameters_(seed) {
  for (Attention<float>* attention : denoiser.attentions()) {
    Attention<float>::Updates updates{};
    for (std::size_t index = 0; index < Attention<float>::kWeights; ++index) {
      const Parameter<float>& weight = attention->parameter(index);
      const Index out = weight.shape[0];
      const Index in = weight.shape[1];
      // Without ".weight"; PEFT's own initial values of A: those of PyTorch's Linear.
      const std::string name = "transformer." + weight.name.substr(0, weight.name.size() - kWeight.size());
      const Initial initial{Initial::Kind::kUniform, 1 / std::sqrt(static_cast<double>(in))};
      Parameter<float>& down = parameters_.add(name + ".lora_A.weight", {rank, in}, initial);
      Parameter<float>& up = parameters_.add(name + ".lora_B.weight", {out, rank}, Initial::zero());
      updates[index] = {&down, &up, 1.0f};
    }
    updates_.push_back(updates);
    attention->setUpdates(&updates_.back());
  }
  denoiser_.parameters().touch();
}

Lora::~Lora() {
  for (Attention<float>* attention : denoiser_.attentions()) attention->setUpdates(nullptr);
  denoiser_.parameters().touch();
}

void Lora::setScale(double scale) {
  if (!std::isfinite(scale)) failArgument({"loraScale is ", scale, "; it takes a finite number"});
  scale_ = scale;
  for (Attention<float>::Updates& updates : updates_) {
    for (LowRankUpdate<float>& update : updates) update.scale = static_cast<float>(scale);
  }
  denoiser_.parameters().touch();
}

}  // namespace cross_attention::denoiser
