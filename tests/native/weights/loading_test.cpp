#include "weights/loading.hpp"

#include <gtest/gtest.h>

#include "support/comparison.hpp"
#include "support/layer_case.hpp"
#include "support/weight_files.hpp"

namespace cross_attention::test::weights_loading_test {

namespace {

using weights::Candidate;
using weights::LoadReport;

constexpr layer::Configuration kSource = configurationOf(8, 6, 2, 7);
constexpr layer::Configuration kTarget = configurationOf(8, 6, 2, 8);

template <class T>
LoadReport load(layer::DiffusionCrossAttention<T>& layer, const std::vector<Candidate<T>>& candidates,
                bool strict = false) {
  return weights::loadWeights<T>(layer, std::span<const Candidate<T>>(candidates), strict);
}

template <class T>
std::vector<T> copyOf(std::span<const T> values) {
  return {values.begin(), values.end()};
}

}  // namespace

template <class T>
class LoadingTest : public testing::Test {
 protected:
  layer::DiffusionCrossAttention<T> source_{kSource};
  layer::DiffusionCrossAttention<T> target_{kTarget};
  const std::vector<T> before_ = copyOf(target_.parameters().values());

  std::vector<Candidate<T>> candidates() const {
    std::vector<Candidate<T>> all;
    for (Index index = 0; index < layer::kParameterCount; ++index) {
      const auto id = static_cast<layer::ParameterId>(index);
      const std::span<const T> values = source_.parameters().values(id);
      all.push_back({"file." + std::string(layer::nameOf(id)), std::string(layer::nameOf(id)),
                     source_.parameters().shape(id), [values](std::span<T> target) {
                       std::copy(values.begin(), values.end(), target.begin());
                     }});
    }
    return all;
  }
  void expectUnchanged() const { EXPECT_TRUE(isIdentical(target_.parameters().values(), before_)); }
};
using Formats = testing::Types<float, double>;
TYPED_TEST_SUITE(LoadingTest, Formats);

TYPED_TEST(LoadingTest, RoundTripsASavedFile) {
  using T = TypeParam;
  const File file = saveLayer(this->source_, sizeof(T) == 4 ? "F32" : "F64", "attn2.");
  const auto tensors = weights::readSafetensors(file);
  const LoadReport report = load(this->target_, candidatesOf<T>(tensors, "attn2."), true);
  EXPECT_EQ(report.loaded.size(), 5u);
  EXPECT_TRUE(report.skipped.empty());
  EXPECT_TRUE(isIdentical(this->target_.parameters().values(), this->source_.parameters().values()));
}

TYPED_TEST(LoadingTest, LoadsRoundedValuesFromNarrowFiles) {
  using T = TypeParam;
  for (const auto& [dtype, bits] : std::map<std::string, int>{{"F16", 11}, {"BF16", 8}}) {
    layer::DiffusionCrossAttention<T> target(kTarget);
    const File file = saveLayer(this->source_, dtype);
    load(target, candidatesOf<T>(weights::readSafetensors(file)), true);
    const std::span<const T> expected = this->source_.parameters().values();
    for (std::size_t index = 0; index < expected.size(); ++index) {
      // Half a unit in the last place of `bits` bits. Weights close to 0 are subnormal in F16: 2^-25.
      const double allowed = std::ldexp(std::abs(static_cast<double>(expected[index])), -bits);
      ASSERT_NEAR(target.parameters().values()[index], expected[index],
                  std::max(allowed, std::ldexp(1.0, -25)));
    }
  }
}

TYPED_TEST(LoadingTest, AcceptsMissingParametersUnlessStrict) {
  using T = TypeParam;
  auto some = this->candidates();
  some.erase(some.begin() + 1, some.begin() + 3);
  some.push_back({"other", "to_q.bias", Shape{8}, [](std::span<T>) { FAIL() << "read"; }});
  some.push_back({"ignored", std::nullopt, Shape{8}, [](std::span<T>) { FAIL() << "read"; }});
  EXPECT_TRUE(failsWith(ErrorCode::kWeights, [&] { load(this->target_, some, true); }));
  this->expectUnchanged();
  const LoadReport report = load(this->target_, some);
  EXPECT_EQ(report.loaded, (std::vector<std::string>{"to_q.weight", "to_out.0.weight", "to_out.0.bias"}));
  EXPECT_EQ(report.skipped, std::vector<std::string>{"other"});
  using layer::ParameterId;
  const auto& parameters = this->target_.parameters();
  EXPECT_TRUE(isIdentical(parameters.values(ParameterId::kQuery),
                          this->source_.parameters().values(ParameterId::kQuery)));
  const layer::DiffusionCrossAttention<T> untouched(kTarget);
  EXPECT_TRUE(
      isIdentical(parameters.values(ParameterId::kKey), untouched.parameters().values(ParameterId::kKey)));
}

TYPED_TEST(LoadingTest, StrictRefusesMissingAndUnexpected) {
  using T = TypeParam;
  EXPECT_NO_THROW(load(this->source_, this->candidates(), true));
  auto missing = this->candidates();
  missing.pop_back();
  EXPECT_TRUE(failsWith(ErrorCode::kWeights, [&] { load(this->target_, missing, true); }));
  auto unexpected = this->candidates();
  unexpected.push_back({"more", "more", Shape{8}, [](std::span<T>) {}});
  EXPECT_TRUE(failsWith(ErrorCode::kWeights, [&] { load(this->target_, unexpected, true); }));
  this->expectUnchanged();
}

TYPED_TEST(LoadingTest, WrongShapeLoadsNothing) {
  for (const Shape& shape : {Shape{6, 8}, Shape{48}, Shape{8, 6, 1}, Shape{8, 7}}) {
    auto wrong = this->candidates();
    wrong[2].shape = shape;
    EXPECT_TRUE(failsWith(ErrorCode::kWeights, [&] { load(this->target_, wrong); }));
    this->expectUnchanged();
  }
}

TYPED_TEST(LoadingTest, DuplicateCandidatesLoadNothing) {
  auto twice = this->candidates();
  twice.push_back(twice[0]);
  EXPECT_TRUE(failsWith(ErrorCode::kWeights, [&] { load(this->target_, twice); }));
  this->expectUnchanged();
}

TYPED_TEST(LoadingTest, UnreadableCandidateLoadsNothing) {
  using T = TypeParam;
  auto unreadable = this->candidates();
  unreadable[4].read = [](std::span<T> values) {
    values[0] = T(7);
    failWeights({"cannot be read"});
  };
  EXPECT_TRUE(failsWith(ErrorCode::kWeights, [&] { load(this->target_, unreadable); }));
  this->expectUnchanged();
}

TYPED_TEST(LoadingTest, LoadingInvalidatesActivationsUnlessNothingIsLoaded) {
  using T = TypeParam;
  LayerCase<T> layerCase((CaseShape()));
  layerCase.forwardAndBackward();
  load<T>(layerCase.layer, {});
  EXPECT_NO_THROW(layerCase.layer.backward(layerCase.outputGradient));
  load(layerCase.layer, this->candidates());
  EXPECT_TRUE(failsWith(ErrorCode::kArgument, [&] { layerCase.layer.backward(layerCase.outputGradient); }));
}

}  // namespace cross_attention::test::weights_loading_test
