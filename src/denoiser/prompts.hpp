#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor.hpp"
#include "layer/mask.hpp"

namespace cross_attention::denoiser {

/// The words that a model knows. Ids: 0 fills prompts up and is masked, 1 begins every prompt – what attends to no word
/// attends to it –, then the words in their order.
class Vocabulary {
 public:
  static constexpr std::int32_t kFill = 0;
  static constexpr std::int32_t kStart = 1;
  static constexpr std::int32_t kFirstWord = 2;

  explicit Vocabulary(std::vector<std::string> words) : words_(std::move(words)) {}

  const std::vector<std::string>& words() const { return words_; }
  Index entries() const { return static_cast<Index>(words_.size()) + kFirstWord; }
  /// The id of a word; kFill where it is unknown.
  std::int32_t find(std::string_view word) const;
  /// The id of the new word. Throws kArgument where it is known or not a word.
  std::int32_t add(std::string word);

  /// The ids of a prompt, the start token first. Words are split at everything but letters, digits and '-', and taken in
  /// lower case. Throws kArgument, naming the `argument` and the words that it does not know, or for more than `maxWords`
  /// tokens.
  std::vector<std::int32_t> encode(std::string_view prompt, Index maxWords,
                                   const char* argument = "prompt") const;

 private:
  std::vector<std::string> words_;
};

/// A prompt's words as Vocabulary::encode splits it.
std::vector<std::string> splitWords(std::string_view prompt);

/// Prompts of a batch, filled up to the same length.
struct Prompts {
  std::vector<std::int32_t> ids;  ///< [batch, length]
  Index batch = 0;
  Index length = 0;

  /// The shorter ones are filled up, to `leastLength` at least.
  explicit Prompts(std::span<const std::vector<std::int32_t>> prompts, Index leastLength = 0);

  /// A key mask of what is no filling. Of T.
  template <class T>
  layer::Mask<T> mask() const;
};

}  // namespace cross_attention::denoiser
