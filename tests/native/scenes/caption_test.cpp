#include "scenes/caption.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "scenes/random_scene.hpp"
#include "scenes/vocabulary.hpp"
#include "support/build.hpp"

namespace cross_attention::scenes::test::caption_test {

namespace {

using cross_attention::test::reduced;

std::vector<std::string> wordsOf(const std::string& sentence) {
  std::istringstream stream(sentence);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

/// Returns the value of the enum with this name among the first `count` values.
template <class Enum>
std::optional<Enum> enumNamed(const std::string& word, int count) {
  for (int value = 0; value < count; ++value) {
    if (word == nameOf(static_cast<Enum>(value))) return static_cast<Enum>(value);
  }
  return std::nullopt;
}

/// The colour and shape of an object. They identify it within its scene.
struct Noun {
  Colour colour;
  ShapeKind shape;
  auto operator<=>(const Noun&) const = default;
};

/// The meaning of a caption.
struct Meaning {
  struct Fact {
    Noun subject;
    Role role;
    Noun object;
    auto operator<=>(const Fact&) const = default;
  };
  std::set<Noun> nouns;
  std::set<Fact> facts;
  std::set<std::pair<Noun, SizeWord>> sizes;
  std::optional<Background> background;

  bool operator==(const Meaning&) const = default;

  /// Adds a fact and its converse.
  void add(Noun subject, Role role, Noun object) {
    facts.insert({subject, role, object});
    facts.insert({object, converse(role), subject});
  }
};

/// Parses a caption by English grammar, independently of the code that generates captions. The subject of a
/// role is the noun before it or, directly after "and", the subject of the previous role. "it" and "its"
/// refer to the noun before "with".
class Parser {
 public:
  explicit Parser(const std::string& sentence) : words_(wordsOf(sentence)) {}

  Meaning parse() {
    if (at("picture") || (words_.size() > 1 && words_[1] == "picture")) {
      skip({"a", "picture", "of"});
    }
    skip({"there", "is"});
    const Noun first = noun();
    if (at("with")) {
      while (at("with") || at("and")) {
        take();
        const Noun companion = noun();
        meaning_.add(companion, *roleToIt(), first);
      }
    } else {
      Noun subject = first;
      for (;;) {
        if (at("is")) take();
        const std::optional<Role> role = roleToNoun();
        if (!role) break;
        const Noun object = noun();
        meaning_.add(subject, *role, object);
        if (!at("and")) break;
        take();
        if (!startsRole()) subject = noun();
      }
    }
    if (at("on")) {
      take();
      if (at("a")) take();
      meaning_.background = enumNamed<Background>(take(), kBackgrounds);
      EXPECT_TRUE(meaning_.background.has_value());
      if (at("background")) take();
    }
    EXPECT_EQ(next_, words_.size()) << "words remain";
    return meaning_;
  }

 private:
  bool at(const std::string& word) const { return next_ < words_.size() && words_[next_] == word; }
  std::string take() { return next_ < words_.size() ? words_[next_++] : ""; }

  void skip(std::initializer_list<const char*> sequence) {
    for (const char* word : sequence) {
      if (at(word)) take();
    }
  }

  Noun noun() {
    if (at("a") || at("an") || at("the")) {
      const std::string article = take();
      if (article != "the") {
        EXPECT_EQ(article == "an", at("orange"));
      }
    }
    SizeWord size = SizeWord::kNone;
    if (at("small") || at("large")) size = take() == "small" ? SizeWord::kSmall : SizeWord::kLarge;
    const std::optional<Colour> colour = enumNamed<Colour>(take(), kColours);
    const std::optional<ShapeKind> shape = enumNamed<ShapeKind>(take(), kShapeKinds);
    EXPECT_TRUE(colour.has_value() && shape.has_value());
    const Noun noun{colour.value_or(Colour::kRed), shape.value_or(ShapeKind::kCircle)};
    meaning_.nouns.insert(noun);
    if (size != SizeWord::kNone) meaning_.sizes.insert({noun, size});
    return noun;
  }

  bool startsRole() const {
    return at("to") || at("left") || at("right") || at("above") || at("below") || at("inside") ||
           at("around");
  }

  std::optional<Role> roleToNoun() {
    if (!startsRole()) return std::nullopt;
    if (at("to")) {
      take();
      EXPECT_EQ(take(), "the");
    }
    const std::string word = take();
    if (word == "left" || word == "right") {
      EXPECT_EQ(take(), "of");
      return word == "left" ? Role::kLeftOf : Role::kRightOf;
    }
    return enumNamed<Role>(word, kRoles);
  }

  std::optional<Role> roleToIt() {
    if (at("to")) {
      take();
      EXPECT_EQ(take(), "its");
      const std::string side = take();
      EXPECT_TRUE(side == "left" || side == "right");
      return side == "left" ? Role::kLeftOf : Role::kRightOf;
    }
    const std::optional<Role> role = roleToNoun();
    EXPECT_TRUE(role.has_value());
    EXPECT_EQ(take(), "it");
    return role;
  }

  std::vector<std::string> words_;
  std::size_t next_ = 0;
  Meaning meaning_;
};

/// Returns the meaning that the caption of a scene must have.
Meaning meaningOf(const Scene& scene) {
  Meaning meaning;
  const auto noun = [&](int index) {
    const Object& object = scene.objects[static_cast<std::size_t>(index)];
    return Noun{object.colour, object.shape};
  };
  for (std::size_t index = 0; index < scene.objects.size(); ++index) {
    meaning.nouns.insert(noun(static_cast<int>(index)));
    const SizeWord size = scene.objects[index].size;
    if (size != SizeWord::kNone) meaning.sizes.insert({noun(static_cast<int>(index)), size});
  }
  for (const Link& link : scene.links) {
    meaning.add(noun(link.subject), static_cast<Role>(link.relation), noun(link.object));
  }
  if (scene.backgroundSaid) meaning.background = scene.background;
  return meaning;
}

Scene example() {
  Scene scene;
  scene.background = Background::kBrown;
  scene.backgroundSaid = true;
  scene.objects = {{.shape = ShapeKind::kCircle, .colour = Colour::kOrange},
                   {.shape = ShapeKind::kSquare, .colour = Colour::kOrange, .size = SizeWord::kSmall},
                   {.shape = ShapeKind::kStar, .colour = Colour::kGreen, .size = SizeWord::kLarge}};
  scene.links = {{0, Relation::kLeftOf, 1}, {0, Relation::kBelow, 2}};
  return scene;
}

}  // namespace

TEST(CaptionTest, DescribesTheScene) {
  Random random(1);
  for (int draw = 0; draw < reduced(60000, 5000); ++draw) {
    const Scene scene = randomScene(random, draw % 4 == 0 ? Split::kHeldOut : Split::kTraining);
    const Meaning expected = meaningOf(scene);
    for (const std::string& sentence : {caption(scene, random), plainCaption(scene)}) {
      ASSERT_TRUE(Parser(sentence).parse() == expected) << sentence;
      ASSERT_FALSE(HasFailure()) << sentence;
    }
  }
}

TEST(CaptionTest, UsesOnlyTheVocabulary) {
  const auto words = vocabulary();
  const std::set<std::string_view> known(words.begin(), words.end());
  EXPECT_EQ(known.size(), words.size()) << "a word occurs twice";
  EXPECT_LT(words.size(), 60U);
  std::set<std::string> used;
  std::size_t maxWords = 0;
  Random random(2);
  for (int draw = 0; draw < reduced(60000, 5000); ++draw) {
    const Scene scene = randomScene(random, Split::kTraining);
    for (const std::string& sentence : {caption(scene, random), plainCaption(scene)}) {
      const std::vector<std::string> sentenceWords = wordsOf(sentence);
      std::string joined;
      for (const std::string& word : sentenceWords) {
        ASSERT_TRUE(known.contains(word)) << word;
        used.insert(word);
        joined += (joined.empty() ? "" : " ") + word;
      }
      ASSERT_EQ(joined, sentence) << "expected single spaces";
      ASSERT_LE(sentenceWords.size(), 22U) << sentence;
      maxWords = std::max(maxWords, sentenceWords.size());
    }
  }
  EXPECT_EQ(used.size(), words.size()) << "a word is never used";
  EXPECT_EQ(maxWords, 22U) << "the longest captions are missing";
}

TEST(CaptionTest, PlainCaptions) {
  Scene scene = example();
  EXPECT_EQ(plainCaption(scene),
            "an orange circle left of a small orange square and below a large green star on a brown "
            "background");
  scene.backgroundSaid = false;
  scene.objects.pop_back();
  scene.links = {{1, Relation::kInside, 0}};
  EXPECT_EQ(plainCaption(scene), "a small orange square inside an orange circle");
  scene.objects.pop_back();
  scene.links.clear();
  EXPECT_EQ(plainCaption(scene), "an orange circle");
}

TEST(CaptionTest, PhrasingsVary) {
  Scene scene = example();
  scene.backgroundSaid = false;
  scene.objects[1].size = scene.objects[2].size = SizeWord::kNone;
  Random random(3);
  std::set<std::string> three;
  for (int draw = 0; draw < 3000; ++draw) three.insert(caption(scene, random));
  scene.objects.pop_back();
  scene.links.pop_back();
  std::set<std::string> two;
  for (int draw = 0; draw < 3000; ++draw) two.insert(caption(scene, random));
  for (const char* sentence :
       {"an orange circle left of an orange square", "an orange square to the right of an orange circle",
        "there is an orange circle to the left of an orange square",
        "the orange square is right of the orange circle", "orange circle left of orange square",
        "a picture of an orange square right of an orange circle",
        "an orange square with an orange circle to its left",
        "an orange circle with an orange square right of it"}) {
    EXPECT_TRUE(two.contains(sentence)) << sentence;
  }
  for (const char* sentence :
       {"an orange circle below a green star and left of an orange square",
        "an orange square right of an orange circle and a green star above the orange circle",
        "orange circle with orange square to its right and green star above it"}) {
    EXPECT_TRUE(three.contains(sentence)) << sentence;
  }
}

TEST(CaptionTest, RefusesInvalidScenes) {
  Random random(4);
  const auto fails = [&](auto change) {
    Scene scene = example();
    change(scene);
    EXPECT_THROW(plainCaption(scene), Error);
    EXPECT_THROW(caption(scene, random), Error);
    EXPECT_THROW(isHeldOut(scene), Error);
  };
  fails([](Scene& scene) { scene.objects.clear(); });
  fails([](Scene& scene) { scene.objects.resize(4); });
  fails([](Scene& scene) { scene.links.pop_back(); });
  fails([](Scene& scene) { scene.links[1].object = 3; });
  fails([](Scene& scene) { scene.links[1].object = -1; });
  fails([](Scene& scene) { scene.links[1].object = 0; });
  fails([](Scene& scene) { scene.links[1].object = 1; });
  fails([](Scene& scene) { scene.links[1] = {1, Relation::kBelow, 2}; });
  EXPECT_EQ(random.next(), Random(4).next());
}

}  // namespace cross_attention::scenes::test::caption_test
