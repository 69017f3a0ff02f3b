#include "scenes/caption.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "scenes/choice.hpp"

namespace cross_attention::scenes {

namespace {

enum class Article : std::uint8_t { kNone, kIndefinite, kDefinite };

enum class Form : std::uint8_t {
  kPlain,      ///< "a red circle above a blue square"
  kThereIs,    ///< "there is a red circle above a blue square"
  kStatement,  ///< "the red circle is above the blue square"
  kWith,       ///< "a blue square with a red circle above it"
};

/// The choices in the wording of a caption.
struct Phrasing {
  Form form = Form::kPlain;
  Article article = Article::kIndefinite;
  /// Relations are described from their objects' side.
  bool converse = false;
  /// The second of two links is described first.
  bool lastFirst = false;
  bool longSides = false;     ///< "to the left of" instead of "left of"
  bool longGround = true;     ///< "on a white background" instead of "on white"
  std::string_view prefix{};  ///< "picture of", "a picture of"
};

/// An object related to the caption's main object, and its role.
struct Companion {
  const Object* object;
  Role role;
};

/// Joins words with single spaces.
class Writer {
 public:
  explicit Writer(const Phrasing& phrasing) : phrasing_(phrasing) {}

  void words(std::string_view words) {
    if (words.empty()) return;
    if (!sentence_.empty()) sentence_ += ' ';
    sentence_ += words;
  }

  void noun(const Object& object) {
    article(phrasing_.article, object.colour, object.size);
    words(nameOf(object.size));
    words(nameOf(object.colour));
    words(nameOf(object.shape));
  }

  /// A noun phrase for an object that was mentioned before.
  void knownNoun(const Object& object) {
    if (phrasing_.article != Article::kNone) words("the");
    words(nameOf(object.colour));
    words(nameOf(object.shape));
  }

  void role(Role role) {
    if (phrasing_.longSides && (role == Role::kLeftOf || role == Role::kRightOf)) words("to the");
    words(nameOf(role));
  }

  /// Writes "above it", "to its left".
  void roleToIt(Role role) {
    if (phrasing_.longSides && role == Role::kLeftOf) return words("to its left");
    if (phrasing_.longSides && role == Role::kRightOf) return words("to its right");
    words(nameOf(role));
    words("it");
  }

  void verb() {
    if (phrasing_.form == Form::kStatement) words("is");
  }

  std::string take() { return std::move(sentence_); }

 private:
  void article(Article article, Colour colour, SizeWord size) {
    if (article == Article::kNone) return;
    if (article == Article::kDefinite) return words("the");
    // "orange" is the only adjective here that begins with a vowel.
    words(colour == Colour::kOrange && size == SizeWord::kNone ? "an" : "a");
  }

  const Phrasing& phrasing_;
  std::string sentence_;
};

/// Writes "a red circle above a blue square and left of a green star".
void writeFromSubject(Writer& writer, const Object& subject, const std::vector<Companion>& companions) {
  writer.noun(subject);
  if (!companions.empty()) writer.verb();
  for (const Companion& companion : companions) {
    if (&companion != companions.data()) writer.words("and");
    writer.role(converse(companion.role));
    writer.noun(*companion.object);
  }
}

/// Writes "a blue square below a red circle and a green star right of the red circle".
void writeFromCompanions(Writer& writer, const Object& subject, const std::vector<Companion>& companions) {
  for (const Companion& companion : companions) {
    const bool first = &companion == companions.data();
    if (!first) writer.words("and");
    writer.noun(*companion.object);
    writer.verb();
    writer.role(companion.role);
    if (first) {
      writer.noun(subject);
    } else {
      writer.knownNoun(subject);
    }
  }
}

/// Writes "a red circle with a blue square below it and a green star to its right".
void writeWith(Writer& writer, const Object& subject, const std::vector<Companion>& companions) {
  writer.noun(subject);
  for (const Companion& companion : companions) {
    writer.words(&companion == companions.data() ? "with" : "and");
    writer.noun(*companion.object);
    writer.roleToIt(companion.role);
  }
}

void writeObjects(Writer& writer, const Scene& scene, const Phrasing& phrasing) {
  if (scene.links.empty()) return writer.noun(scene.objects[0]);
  const auto at = [&](int index) { return &scene.objects[static_cast<std::size_t>(index)]; };
  const Object* subject = at(scene.links[0].subject);
  std::vector<Companion> companions;
  for (const Link& link : scene.links) {
    companions.push_back({at(link.object), roleOfObject(link.relation)});
  }
  if (phrasing.lastFirst) std::ranges::reverse(companions);
  if (phrasing.form == Form::kWith) {
    // The two objects of a pair may swap roles. With three objects, the subject of both links stays the
    // subject.
    if (phrasing.converse && companions.size() == 1) {
      std::swap(subject, companions[0].object);
      companions[0].role = converse(companions[0].role);
    }
    writeWith(writer, *subject, companions);
  } else if (phrasing.converse) {
    writeFromCompanions(writer, *subject, companions);
  } else {
    writeFromSubject(writer, *subject, companions);
  }
}

std::string write(const Scene& scene, const Phrasing& phrasing) {
  Writer writer(phrasing);
  writer.words(phrasing.prefix);
  if (phrasing.form == Form::kThereIs) writer.words("there is");
  writeObjects(writer, scene, phrasing);
  if (scene.backgroundSaid) {
    writer.words(phrasing.longGround ? "on a" : "on");
    writer.words(nameOf(scene.background));
    if (phrasing.longGround) writer.words("background");
  }
  return writer.take();
}

Phrasing randomPhrasing(Random& random, bool single) {
  Phrasing phrasing;
  const double form = random.uniform();
  if (form < 0.15) {
    phrasing.form = Form::kThereIs;
  } else if (form < 0.25 && !single) {
    phrasing.form = Form::kStatement;
    phrasing.article = Article::kDefinite;
  } else if (form < 0.45 && !single) {
    phrasing.form = Form::kWith;
  }
  if (phrasing.form == Form::kPlain || phrasing.form == Form::kWith) {
    if (bernoulli(random, 0.2)) phrasing.article = Article::kNone;
    if (bernoulli(random, 0.06)) {
      phrasing.prefix = phrasing.article == Article::kNone ? "picture of" : "a picture of";
    }
  }
  phrasing.converse = bernoulli(random, 0.5);
  phrasing.lastFirst = bernoulli(random, 0.5);
  phrasing.longSides = bernoulli(random, 0.6);
  phrasing.longGround = bernoulli(random, 0.7);
  return phrasing;
}

}  // namespace

std::string caption(const Scene& scene, Random& random) {
  validate(scene);
  // The plainest phrasing of the longest scene has 21 words and most have fewer, so the loop ends soon.
  for (;;) {
    std::string sentence = write(scene, randomPhrasing(random, scene.links.empty()));
    if (std::ranges::count(sentence, ' ') < kMaxCaptionWords) return sentence;
  }
}

std::string plainCaption(const Scene& scene) {
  validate(scene);
  return write(scene, {});
}

}  // namespace cross_attention::scenes
