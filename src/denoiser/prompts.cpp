#include "denoiser/prompts.hpp"

#include <algorithm>

#include "core/error.hpp"

namespace cross_attention::denoiser {

namespace {

char lowerCase(char character) {
  return character >= 'A' && character <= 'Z' ? static_cast<char>(character - 'A' + 'a') : character;
}

/// Bytes of UTF-8 beyond ASCII are parts of words, too.
bool isOfWord(char character) {
  const auto code = static_cast<unsigned char>(character);
  return (code >= 'a' && code <= 'z') || (code >= '0' && code <= '9') || code == '-' || code >= 128;
}

}  // namespace

std::vector<std::string> splitWords(std::string_view prompt) {
  std::vector<std::string> words;
  bool within = false;
  for (const char given : prompt) {
    const char character = lowerCase(given);
    if (!isOfWord(character)) {
      within = false;
      continue;
    }
    if (!within) words.emplace_back();
    within = true;
    words.back() += character;
  }
  return words;
}

std::int32_t Vocabulary::find(std::string_view word) const {
  const auto found = std::find(words_.begin(), words_.end(), word);
  if (found == words_.end()) return kFill;
  return static_cast<std::int32_t>(found - words_.begin()) + kFirstWord;
}

std::int32_t Vocabulary::add(std::string word) {
  const std::vector<std::string> split = splitWords(word);
  if (split.size() != 1 || split[0] != word) {
    failArgument({"word is '", word, "'; it takes one word of lower-case letters, digits and '-'"});
  }
  if (find(word) != kFill) failArgument({"word is '", word, "', which the model knows already"});
  words_.push_back(std::move(word));
  return static_cast<std::int32_t>(words_.size()) - 1 + kFirstWord;
}

std::vector<std::int32_t> Vocabulary::encode(std::string_view prompt, Index maxWords,
                                             const char* argument) const {
  std::vector<std::int32_t> ids{kStart};
  std::string unknown;
  for (const std::string& word : splitWords(prompt)) {
    ids.push_back(find(word));
    if (ids.back() == kFill) unknown += (unknown.empty() ? "'" : ", '") + word + "'";
  }
  if (!unknown.empty()) {
    failArgument({argument, " has the unknown words ", unknown, "; it takes words of the vocabulary"});
  }
  if (static_cast<Index>(ids.size()) > maxWords) {
    failArgument({argument, " has ", ids.size() - 1, " words; it takes at most ", maxWords - 1});
  }
  return ids;
}

Prompts::Prompts(std::span<const std::vector<std::int32_t>> prompts, Index leastLength)
    : batch(static_cast<Index>(prompts.size())), length(leastLength) {
  for (const auto& prompt : prompts) length = std::max(length, static_cast<Index>(prompt.size()));
  for (const auto& prompt : prompts) {
    ids.insert(ids.end(), prompt.begin(), prompt.end());
    ids.resize(ids.size() + static_cast<std::size_t>(length) - prompt.size(), Vocabulary::kFill);
  }
}

template <class T>
layer::Mask<T> Prompts::mask() const {
  Tensor<T> mask(Shape{batch, length});
  std::transform(ids.begin(), ids.end(), mask.begin(),
                 [](std::int32_t id) { return T(id == Vocabulary::kFill ? 0 : 1); });
  return layer::Mask<T>::from(mask);
}

template layer::Mask<float> Prompts::mask() const;
template layer::Mask<double> Prompts::mask() const;

}  // namespace cross_attention::denoiser
