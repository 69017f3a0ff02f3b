// Arbitrary bytes, and changed files, as a file of low-rank updates.
#include "core/error.hpp"
#include "denoiser/lora_file.hpp"
#include "edited_file.hpp"
#include "support/tiny_denoiser.hpp"
#include "targets.hpp"

namespace cross_attention::fuzz {

namespace {

using test::TinyDenoiser;

std::vector<std::byte> validLora() {
  TinyDenoiser<float> denoiser;
  denoiser::Lora updates(denoiser, 2, 1);
  updates.words = {"red", "circle"};
  return denoiser::saveLora(updates);
}

}  // namespace

void lora(Bytes input) {
  static const std::vector<std::byte> valid = validLora();
  const std::vector<std::byte> file = editedFile(input, valid);
  TinyDenoiser<float> denoiser;
  const std::vector<float> parameters = test::allValues(denoiser.parameters());
  const std::size_t words = denoiser.vocabulary().words().size();
  try {
    const auto loaded = denoiser::loadLora(file, denoiser);
    const std::vector<std::byte> saved = denoiser::saveLora(*loaded);
    TinyDenoiser<float> other;
    const auto again = denoiser::loadLora(saved, other);
    require(denoiser::saveLora(*again) == saved, "a saved file differs after loading");
  } catch (const Error& error) {
    require(error.code() == ErrorCode::kWeights, error.what());
    require(denoiser.vocabulary().words().size() == words, "a refused file has added words");
    require(test::allValues(denoiser.parameters()) == parameters, "a refused file has changed parameters");
  }
}

}  // namespace cross_attention::fuzz
