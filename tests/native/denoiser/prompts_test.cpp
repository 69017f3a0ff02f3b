#include "denoiser/prompts.hpp"

#include <gtest/gtest.h>

#include "support/comparison.hpp"
#include "support/tiny_denoiser.hpp"

namespace cross_attention::test::denoiser_prompts_test {

namespace {

using denoiser::Prompts;
using denoiser::splitWords;
using denoiser::Vocabulary;

using Ids = std::vector<std::int32_t>;
using Words = std::vector<std::string>;

/// The message of the kArgument that `call` throws; empty: it throws none.
template <class Call>
std::string complaintOf(Call call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kArgument);
    return error.message();
  }
  return "";
}

bool mentions(const std::string& message, const std::string& words) {
  return message.find(words) != std::string::npos;
}

}  // namespace

TEST(PromptsTest, WordsAreSplitAtAllButLettersDigitsAndHyphens) {
  EXPECT_EQ(splitWords("A red Circle, left-of  2 SQUARES."),
            (Words{"a", "red", "circle", "left-of", "2", "squares"}));
  EXPECT_EQ(splitWords("\t\nred\x01"
                       "blue_x"),
            (Words{"red", "blue", "x"}));
  EXPECT_EQ(splitWords(""), Words{});
  EXPECT_EQ(splitWords(" ,;. "), Words{});
  // Bytes beyond ASCII belong to their word, whatever char's sign.
  EXPECT_EQ(splitWords("grün! café"), (Words{"grün", "café"}));
}

TEST(PromptsTest, AnEncodedPromptBeginsWithTheStart) {
  const Vocabulary vocabulary = tinyVocabulary();
  EXPECT_EQ(vocabulary.entries(), 6);
  EXPECT_EQ(vocabulary.encode("Red circle, red square", 5), (Ids{1, 2, 4, 2, 5}));
  EXPECT_EQ(vocabulary.encode("", 5), Ids{1});
  EXPECT_EQ(vocabulary.find("blue"), 3);
  EXPECT_EQ(vocabulary.find("Blue"), Vocabulary::kFill);
}

TEST(PromptsTest, UnknownWordsAreNamed) {
  const Vocabulary vocabulary = tinyVocabulary();
  const std::string message = complaintOf([&] { vocabulary.encode("a red triangle", 24); });
  EXPECT_TRUE(mentions(message, "'a', 'triangle'")) << message;
  EXPECT_FALSE(mentions(message, "red")) << message;
}

TEST(PromptsTest, TooManyWordsAreRefused) {
  const Vocabulary vocabulary = tinyVocabulary();
  EXPECT_EQ(vocabulary.encode("red red red", 4).size(), 4u);
  const std::string message = complaintOf([&] { vocabulary.encode("red red red red", 4); });
  EXPECT_TRUE(mentions(message, "4 words") && mentions(message, "at most 3")) << message;
}

TEST(PromptsTest, AWordIsAddedOnceAndOnlyIfItIsOne) {
  Vocabulary vocabulary = tinyVocabulary();
  EXPECT_EQ(vocabulary.add("my-toy2"), 6);
  EXPECT_EQ(vocabulary.encode("red my-toy2", 5), (Ids{1, 2, 6}));
  EXPECT_EQ(vocabulary.entries(), 7);
  for (const char* word : {"my-toy2", "red", "", "two words", "Upper", "dot.", " red"}) {
    EXPECT_NE(complaintOf([&] { vocabulary.add(word); }), "") << word;
  }
  EXPECT_EQ(vocabulary.entries(), 7);
}

TEST(PromptsTest, ShorterPromptsAreFilledAndMasked) {
  const std::vector<Ids> given = {{1, 2, 4}, {1}, {1, 3}};
  const Prompts prompts(given);
  EXPECT_EQ(prompts.batch, 3);
  EXPECT_EQ(prompts.length, 3);
  EXPECT_EQ(prompts.ids, (Ids{1, 2, 4, 1, 0, 0, 1, 3, 0}));
  const auto mask = prompts.mask<float>();
  ASSERT_TRUE(mask.keys);
  EXPECT_EQ(mask.keys->batch, 3);
  EXPECT_EQ(mask.keys->length, 3);
  EXPECT_EQ(mask.keys->attended, (std::vector<std::vector<Index>>{{0, 1, 2}, {0}, {0, 1}}));
}

TEST(PromptsTest, AreFilledUpToAnyLength) {
  const std::vector<Ids> given{{1, 2, 3}, {1}};
  EXPECT_EQ(Prompts(given).ids, (Ids{1, 2, 3, 1, 0, 0}));
  const Prompts longer(given, 5);
  EXPECT_EQ(longer.length, 5);
  EXPECT_EQ(longer.ids, (Ids{1, 2, 3, 0, 0, 1, 0, 0, 0, 0}));
  EXPECT_EQ(Prompts(given, 2).ids, Prompts(given).ids);
}

}  // namespace cross_attention::test::denoiser_prompts_test
