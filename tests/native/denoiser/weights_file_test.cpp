#include "denoiser/weights_file.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "support/build.hpp"
#include "support/central_differences.hpp"
#include "support/comparison.hpp"
#include "support/layer_case.hpp"
#include "support/tiny_denoiser.hpp"
#include "support/weight_files.hpp"

namespace cross_attention::test::denoiser_weights_file_test {

namespace {

using denoiser::Denoiser;
using denoiser::loadCheckpoint;
using denoiser::loadDenoiser;
using denoiser::saveCheckpoint;
using denoiser::saveDenoiser;
using denoiser::Trainer;

/// The message of the kWeights that `call` throws.
template <class Call>
std::string complaintOf(Call call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kWeights) << error.message();
    return error.message();
  }
  ADD_FAILURE() << "no error";
  return "";
}

testing::AssertionResult mentions(const std::string& message, const std::string& words) {
  if (message.find(words) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << "'" << message << "' does not mention '" << words << "'";
}

/// The file with `from`, which is there once, replaced by `to` in its header.
File withHeader(const File& file, const std::string& from, const std::string& to) {
  std::uint64_t length = 0;
  for (int byte = 7; byte >= 0; --byte) {
    length = length << 8 | static_cast<std::uint64_t>(file[static_cast<std::size_t>(byte)]);
  }
  const auto* begin = reinterpret_cast<const char*>(file.data()) + 8;
  std::string header(begin, begin + length);
  const std::size_t place = header.find(from);
  EXPECT_NE(place, std::string::npos) << from;
  header.replace(place, from.size(), to);
  EXPECT_EQ(header.find(from, place + to.size()), std::string::npos) << from;
  File changed = makeFile(header, 0);
  changed.insert(changed.end(), file.begin() + 8 + static_cast<std::ptrdiff_t>(length), file.end());
  return changed;
}

/// What is wrong with a file, and what its complaint names.
struct Fault {
  std::string from, to, named;
};

/// Of a file of tinyConfiguration(). Some of these tensors are the last ones: much could have been changed before them.
std::vector<Fault> faults(const std::string& prefix) {
  const std::string bias = prefix + "patch_out.bias";
  const std::string table = prefix + "transformer_blocks.1.scale_shift_table";
  return {
      {"\"" + bias + "\"", "\"other\"", bias},
      {"\"" + table + "\"", "\"other\"", table},
      {"\"" + bias + "\":{\"dtype\":\"F32\"", "\"" + bias + "\":{\"dtype\":\"I32\"", bias},
      {"\"" + table + "\":{\"dtype\":\"F32\"", "\"" + table + "\":{\"dtype\":\"I32\"", table},
      {"\"" + table + "\":{\"dtype\":\"F32\",\"shape\":[6, 16]",
       "\"" + table + "\":{\"dtype\":\"F32\",\"shape\":[16, 6]", table},
      {"\"features\":\"16\"", "\"features\":\"sixteen\"", "features"},
      {"\"features\":\"16\"", "\"features\":\"16.5\"", "features"},
      {"\"features\":\"16\"", "\"features\":\"\"", "features"},
      {"\"features\":\"16\"", "\"features\":\"99999999999999999999\"", "features"},
      {"\"features\":\"16\"", "\"features\":\"0\"", "features"},
      {"\"numHeads\"", "\"heads\"", "numHeads"},
      {"\"vocabulary\"", "\"words\"", "vocabulary"},
  };
}

}  // namespace

TEST(DenoiserFileTest, FloatsComeBackBitForBit) {
  TinyDenoiser<float> denoiser;
  const auto batch = tinyBatch<float>();
  const auto loaded = loadDenoiser(saveDenoiser(denoiser, "F32"));
  EXPECT_EQ(loaded->configuration(), denoiser.configuration());
  EXPECT_EQ(loaded->vocabulary().words(), denoiser.vocabulary().words());
  EXPECT_TRUE(isIdentical(allValues(loaded->parameters()), allValues(denoiser.parameters())));
  const std::vector<float> times = {0.1f, 0.5f, 0.9f};
  const auto forward = [&](Denoiser<float>& each) {
    return each.forward(batch.pictures, times, each.encode(denoiser::Prompts(batch.prompts), false), false);
  };
  EXPECT_TRUE(isIdentical(forward(*loaded), forward(denoiser)));
}

TEST(DenoiserFileTest, HalvesComeBackRoundedOnce) {
  TinyDenoiser<float> denoiser;
  const File file = saveDenoiser(denoiser, "F16");
  EXPECT_LT(file.size(), saveDenoiser(denoiser, "F32").size() * 2 / 3);
  const auto loaded = loadDenoiser(file);
  const std::vector<float> expected = allValues(denoiser.parameters());
  const std::vector<float> actual = allValues(loaded->parameters());
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    // 11 bits; below 2^-14 the last one is 2^-24.
    const float allowed = std::max(std::ldexp(std::abs(expected[i]), -11), std::ldexp(1.0f, -25));
    ASSERT_LE(std::abs(actual[i] - expected[i]), allowed) << i;
  }
  EXPECT_FALSE(isIdentical(actual, expected));
}

TEST(DenoiserFileTest, AnAddedWordIsSaved) {
  TinyDenoiser<float> denoiser;
  denoiser.addWord("my-toy", "circle");
  const auto loaded = loadDenoiser(saveDenoiser(denoiser, "F32"));
  EXPECT_EQ(loaded->vocabulary().find("my-toy"), 6);
  EXPECT_TRUE(isIdentical(allValues(loaded->parameters()), allValues(denoiser.parameters())));
}

TEST(DenoiserFileTest, RefusesAnUnknownDtype) {
  TinyDenoiser<float> denoiser;
  EXPECT_TRUE(failsWith(ErrorCode::kArgument, [&] { saveDenoiser(denoiser, "I8"); }));
}

TEST(DenoiserFileTest, RefusesFilesThatAreNone) {
  const layer::DiffusionCrossAttention<float> layer(configurationOf(8, 8, 2));
  EXPECT_TRUE(mentions(complaintOf([&] { loadDenoiser(saveLayer(layer, "F32")); }), "no denoiser"));
  complaintOf([] { loadDenoiser({}); });
  TinyDenoiser<float> denoiser;
  const File whole = saveDenoiser(denoiser, "F32");
  // Cut off anywhere, prime steps apart.
  for (std::size_t size = 1; size < whole.size(); size += reduced(509, 4099)) {
    const File part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    ASSERT_TRUE(failsWith(ErrorCode::kWeights, [&] { loadDenoiser(part); })) << size;
  }
}

TEST(DenoiserFileTest, NamesWhatIsWrong) {
  TinyDenoiser<float> denoiser;
  const File whole = saveDenoiser(denoiser, "F32");
  for (const Fault& fault : faults("")) {
    SCOPED_TRACE(fault.to);
    const File file = withHeader(whole, fault.from, fault.to);
    EXPECT_TRUE(mentions(complaintOf([&] { loadDenoiser(file); }), fault.named));
  }
  // Other sizes than the tensors have.
  const File blocks = withHeader(whole, "\"blocks\":\"2\"", "\"blocks\":\"3\"");
  EXPECT_TRUE(mentions(complaintOf([&] { loadDenoiser(blocks); }), "transformer_blocks.2"));
  const File words = withHeader(whole, "red blue circle square", "red blue circle");
  EXPECT_TRUE(mentions(complaintOf([&] { loadDenoiser(words); }), "text.embedding.weight"));
}

TEST(CheckpointTest, ARefusedOneChangesNothing) {
  TinyDenoiser<float> denoiser(1);
  Trainer<float> trainer(denoiser, {});
  trainer.step(tinyBatch<float>(), 0.01);
  const File whole = saveCheckpoint(denoiser, trainer);

  TinyDenoiser<float> other(2);
  Trainer<float> otherTrainer(other, {});
  otherTrainer.step(tinyBatch<float>(), 0.01);
  otherTrainer.step(tinyBatch<float>(), 0.01);
  const File before = saveCheckpoint(other, otherTrainer);
  const auto refuses = [&](const File& file, const std::string& named) {
    const std::uint64_t version = other.parameters().version();
    const std::string message = complaintOf([&] { loadCheckpoint(file, other, otherTrainer); });
    EXPECT_TRUE(mentions(message, named));
    EXPECT_TRUE(saveCheckpoint(other, otherTrainer) == before) << message;
    EXPECT_EQ(other.parameters().version(), version);
  };
  for (const char* prefix : {"adam.mean.", "adam.square.", "average."}) {
    for (const Fault& fault : faults(prefix)) {
      SCOPED_TRACE(fault.to);
      refuses(withHeader(whole, fault.from, fault.to), fault.named);
    }
  }
  for (const char* step : {"one", "-1", "1.5"}) {
    refuses(withHeader(whole, "\"step\":\"1\"", std::string("\"step\":\"") + step + "\""), "step");
  }
  refuses(withHeader(whole, "\"mostWords\":\"6\"", "\"mostWords\":\"7\""), "configuration");
  refuses(withHeader(whole, "red blue", "blue red"), "vocabulary");
  // A model alone has no moments.
  refuses(saveDenoiser(denoiser, "F32"), "step");
  refuses(File(whole.begin(), whole.end() - 1), "file");

  loadCheckpoint(whole, other, otherTrainer);
  EXPECT_TRUE(saveCheckpoint(other, otherTrainer) == whole);
}

}  // namespace cross_attention::test::denoiser_weights_file_test
