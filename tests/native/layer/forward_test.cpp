#include <gtest/gtest.h>

#include <limits>

#include "support/build.hpp"
#include "support/comparison.hpp"
#include "support/layer_case.hpp"

namespace cross_attention::test::layer_forward_test {

namespace {

/// Every way to broadcast an additive mask, or a key mask.
Shape randomMaskShape(Random& random, const CaseShape& shape) {
  const Index batch = shape.layout == Layout::kSingle ? 1 : shape.batch;
  const auto full = [&random](Index size) { return random.next() % 2 == 0 ? size : Index(1); };
  if (random.next() % 2 == 0) return {full(batch), shape.length()};
  return {full(batch), full(shape.numHeads), full(shape.tokens()), shape.length()};
}

/// Sizes from 1 to `most`, odd ones, L = 1, N = 1, H ≠ W, heads 1 to 8, contexts that the batch shares or not.
CaseShape randomShape(std::uint64_t seed, Index most) {
  Random random(seed);
  constexpr Layout kLayouts[] = {Layout::kImage, Layout::kBatches, Layout::kSingle};
  CaseShape shape;
  shape.seed = seed;
  shape.layout = oneOf(random, kLayouts);
  shape.batch = shape.layout == Layout::kSingle ? 1 : between(random, 1, 3);
  const Index tokens = random.next() % 8 == 0 ? 1 : between(random, 1, most);
  shape.height = between(random, 1, std::min<Index>(tokens, 9));
  shape.width = std::max<Index>(1, tokens / shape.height);
  shape.numHeads = between(random, 1, 8);
  shape.queryDim = shape.numHeads * between(random, 1, std::max<Index>(1, most / shape.numHeads));
  const Index length = random.next() % 8 == 0 ? 1 : between(random, 1, most);
  const Index contextDim = between(random, 1, most);
  switch (random.next() % 4) {
    case 0:
      shape.context.reset();
      break;
    case 1:
      shape.context = Shape{length, contextDim};
      break;
    case 2:
      shape.context = Shape{1, length, contextDim};
      break;
    default:
      shape.context = Shape{shape.batch, length, contextDim};
  }
  if (random.next() % 3 > 0) {
    shape.mask = randomMaskShape(random, shape);
    shape.ignoresWholeRow = random.next() % 2 == 0;
  }
  if (random.next() % 3 == 0) {
    shape.tokenBlock = between(random, 1, 150);
    shape.keyBlock = between(random, 1, 150);
  }
  return shape;
}

/// [B, heads, L, N] → [B, L, N], the mean over the heads.
std::vector<double> meanOverHeads(const std::vector<double>& maps, Index heads, Index mapSize) {
  std::vector<double> mean(maps.size() / static_cast<std::size_t>(heads), 0.0);
  for (std::size_t element = 0; element < maps.size(); ++element) {
    const auto map = static_cast<Index>(element) / mapSize;
    const Index place = map / heads * mapSize + static_cast<Index>(element) % mapSize;
    mean[static_cast<std::size_t>(place)] += maps[element] / static_cast<double>(heads);
  }
  return mean;
}

template <class T>
void expectLikeReference(const CaseShape& shape) {
  SCOPED_TRACE(shape.describe());
  LayerCase<T> one(shape);
  const ReferenceLayer reference = one.reference();
  const double epsilon = std::numeric_limits<T>::epsilon();
  const double tolerance = reference.tolerance(epsilon);
  const Tensor<T> output = one.forward();
  EXPECT_EQ(output.shape(), shape.inputShape());
  EXPECT_TRUE(isNear(one.rows(output), reference.output(), tolerance));

  const std::vector<double> maps = reference.probabilities();
  const Tensor<T> all = one.maps(layer::MapHeads::kAll);
  const Tensor<T> mean = one.maps(layer::MapHeads::kMean);
  // Probabilities are at most 1 and depend on the values not at all: the tolerance of the output over its magnitude.
  const double mapTolerance =
      std::min(0.5, tolerance / std::max(1e-3, largestMagnitude(reference.outputBias)));
  EXPECT_TRUE(isNear(all, maps, mapTolerance));
  EXPECT_TRUE(isNear(mean, meanOverHeads(maps, shape.numHeads, shape.length() * shape.tokens()),
                     mapTolerance));
}

}  // namespace

template <class T>
class ForwardTest : public testing::Test {};
using Formats = testing::Types<float, double>;
TYPED_TEST_SUITE(ForwardTest, Formats);

TYPED_TEST(ForwardTest, RandomShapes) {
  const int cases = reduced(150, 100);
  for (int number = 0; number < cases; ++number) {
    // Most shapes small, where edges are dense; every fifth up to 130.
    const bool large = number % 5 == 0;
    expectLikeReference<TypeParam>(
        randomShape(static_cast<std::uint64_t>(number), large ? reduced<Index>(130, 90) : 24));
    if (this->HasFailure()) break;
  }
}

TYPED_TEST(ForwardTest, EveryBroadcastOfBothMasks) {
  CaseShape shape;
  shape.batch = 3;
  shape.queryDim = 12;
  shape.numHeads = 4;
  for (const Shape& context : {Shape{9, 5}, Shape{1, 9, 5}, Shape{3, 9, 5}}) {
    shape.context = context;
    for (const bool ignoring : {false, true}) {
      shape.ignoresWholeRow = ignoring;
      for (const Index batch : {1, 3}) {
        shape.mask = Shape{batch, 9};
        expectLikeReference<TypeParam>(shape);
        for (const Index heads : {1, 4}) {
          for (const Index tokens : {Index(1), shape.tokens()}) {
            shape.mask = Shape{batch, heads, tokens, 9};
            expectLikeReference<TypeParam>(shape);
          }
        }
      }
    }
  }
}

TYPED_TEST(ForwardTest, MasksOfSelfAttention) {
  CaseShape shape;
  shape.batch = 2;
  shape.context.reset();
  for (const Shape& mask : {Shape{2, 15}, Shape{1, 15}, Shape{2, 2, 15, 15}, Shape{1, 1, 15, 15}}) {
    shape.mask = mask;
    shape.ignoresWholeRow = true;
    expectLikeReference<TypeParam>(shape);
  }
}

TYPED_TEST(ForwardTest, AFullyIgnoredRowGivesTheBiasAlone) {
  using T = TypeParam;
  for (const Shape& mask : {Shape{2, 7}, Shape{2, 1, 1, 7}}) {
    CaseShape shape;
    shape.batch = 2;
    LayerCase<T> one(shape);
    Tensor<T> values(mask);
    const T ignored = mask.rank() == 2 ? T(0) : -std::numeric_limits<T>::infinity();
    std::fill(values.begin(), values.end(), mask.rank() == 2 ? T(1) : T(0));
    std::fill_n(values.data() + 7, 7, ignored);
    one.mask = layer::Mask<T>::from(values);
    const Tensor<T> output = one.forward();
    const std::span<const T> bias = one.layer.parameters().values(layer::ParameterId::kOutputBias);
    const T* second = output.data() + shape.queryDim * shape.tokens();
    for (Index channel = 0; channel < shape.queryDim; ++channel) {
      for (Index token = 0; token < shape.tokens(); ++token) {
        EXPECT_EQ(second[channel * shape.tokens() + token],
                  bias[static_cast<std::size_t>(channel)]);
      }
    }
    EXPECT_NE(output.data()[0], bias[0]);
    const Tensor<T> maps = one.maps(layer::MapHeads::kAll);
    for (Index index = maps.size() / 2; index < maps.size(); ++index) {
      ASSERT_EQ(maps.data()[index], T(0));
    }
  }
}

TYPED_TEST(ForwardTest, AKeyMaskOfOnesAndAMaskOfZerosChangeNothing) {
  using T = TypeParam;
  CaseShape shape;
  shape.batch = 2;
  LayerCase<T> one(shape);
  const Tensor<T> plain = one.forward();
  one.mask = layer::Mask<T>::from(Tensor<T>::full(Shape{2, 7}, T(1)));
  EXPECT_TRUE(isIdentical(one.forward(), plain));
  one.mask = layer::Mask<T>::from(Tensor<T>::zeros(Shape{1, 1, 1, 7}));
  EXPECT_TRUE(isIdentical(one.forward(), plain));
  // A key mask may be of either dtype.
  one.mask = layer::Mask<T>::from(Tensor<float>::full(Shape{1, 7}, 1));
  EXPECT_TRUE(isIdentical(one.forward(), plain));
  one.mask = layer::Mask<T>::from(Tensor<double>::full(Shape{1, 7}, 1));
  EXPECT_TRUE(isIdentical(one.forward(), plain));
}

TYPED_TEST(ForwardTest, LayoutsAgree) {
  using T = TypeParam;
  CaseShape shape;
  shape.queryDim = 24;
  shape.numHeads = 3;
  shape.height = 5;
  shape.width = 9;
  LayerCase<T> image(shape);
  const Tensor<T> output = image.forward();
  shape.layout = Layout::kBatches;
  LayerCase<T> batches(shape);
  shape.layout = Layout::kSingle;
  LayerCase<T> single(shape);
  const std::vector<double> rows = image.rows(image.input);
  for (LayerCase<T>* other : {&batches, &single}) {
    std::transform(rows.begin(), rows.end(), other->input.begin(),
                   [](double value) { return static_cast<T>(value); });
    other->layer.setParameters(image.layer.parameters().values());
    const Tensor<T> result = other->layer.forward(other->input, image.contextPointer());
    EXPECT_TRUE(isIdentical(other->rows(result), image.rows(output)));
  }
}

TYPED_TEST(ForwardTest, BlockSizesChangeNothingButRounding) {
  using T = TypeParam;
  CaseShape shape;
  shape.height = 11;
  shape.width = 13;
  shape.queryDim = 16;
  shape.context = Shape{90, 12};
  shape.mask = Shape{1, 1, 143, 90};
  LayerCase<T> planned(shape);
  const Tensor<T> expected = planned.forward();
  const double tolerance = planned.reference().tolerance(std::numeric_limits<T>::epsilon());
  for (const Index tokenBlock : {1, 16, 33, 100, 1000, 32768}) {
    for (const Index keyBlock : {1, 6, 7, 50, 90, 1000, 32768}) {
      shape.tokenBlock = tokenBlock;
      shape.keyBlock = keyBlock;
      LayerCase<T> blocks(shape);
      ASSERT_TRUE(isNear(blocks.forward(), expected, tolerance)) << shape.describe();
    }
  }
  // The planner's promise: token blocks change no bits at all.
  shape.keyBlock = 0;
  for (const Index tokenBlock : {1, 40, 1000}) {
    shape.tokenBlock = tokenBlock;
    EXPECT_TRUE(isIdentical(LayerCase<T>(shape).forward(), expected)) << tokenBlock;
  }
}

TYPED_TEST(ForwardTest, LargeInputsGiveNoNaN) {
  using T = TypeParam;
  const int cases = reduced(60, 20);
  for (int number = 0; number < cases; ++number) {
    CaseShape shape = randomShape(5000 + static_cast<std::uint64_t>(number), 40);
    shape.bound = 1e4;
    SCOPED_TRACE(shape.describe());
    LayerCase<T> one(shape);
    const Tensor<T> output = one.forward();
    ASSERT_TRUE(isFinite(output));
    // Weighted means of values cannot leave their range; 1e-4 for the rounding of sums of up to 80 terms.
    ASSERT_LE(largestMagnitude(output), one.reference().outputBound() * (1 + 1e-4));
    const Tensor<T> maps = one.maps(layer::MapHeads::kAll);
    ASSERT_TRUE(isFinite(maps));
    one.layer.setTraining(true);
    one.forward();
    ASSERT_TRUE(isFinite(one.layer.backward(one.outputGradient)));
    ASSERT_TRUE(isFinite(one.parameterGradients()));
    if constexpr (std::is_same_v<T, double>) {
      // Scores of 1e8 still leave float64 eight digits.
      const ReferenceLayer reference = one.reference();
      ASSERT_TRUE(isNear(one.rows(output), reference.output(),
                         reference.tolerance(std::numeric_limits<T>::epsilon())));
    }
  }
}

TYPED_TEST(ForwardTest, MapsAreProbabilities) {
  using T = TypeParam;
  for (const double bound : {0.0, 30.0, 1e4}) {
    CaseShape shape;
    shape.batch = 2;
    shape.queryDim = 64;
    shape.numHeads = 4;
    shape.context = Shape{2, 77, 48};
    shape.bound = bound;
    LayerCase<T> one(shape);
    const Tensor<T> maps = one.maps(layer::MapHeads::kAll);
    ASSERT_EQ(maps.shape(), (Shape{2, 4, 77, 3, 5}));
    double worst = 0;
    for (Index map = 0; map < 2 * 4; ++map) {
      for (Index token = 0; token < 15; ++token) {
        double sum = 0;
        for (Index key = 0; key < 77; ++key) {
          const double weight = maps.data()[(map * 77 + key) * 15 + token];
          ASSERT_GE(weight, 0);
          sum += weight;
        }
        worst = std::max(worst, std::abs(sum - 1));
      }
    }
    // Rounding of 77 weights, each off by a few epsilon.
    EXPECT_LE(worst, 77 * 4 * std::numeric_limits<T>::epsilon()) << "inputs within ± " << bound;
  }
}

TYPED_TEST(ForwardTest, NaNAndInfinityOfTheInputShow) {
  using T = TypeParam;
  for (const T value : {std::numeric_limits<T>::quiet_NaN(), std::numeric_limits<T>::infinity()}) {
    LayerCase<T> one((CaseShape()));
    const Tensor<T> clean = one.forward();
    one.input.data()[3] = value;
    const Tensor<T> output = one.forward();
    for (Index index = 0; index < output.size(); ++index) {
      const Index token = index % one.shape.tokens();
      if (token == 3) {
        EXPECT_TRUE(std::isnan(output.data()[index]));
      } else {
        EXPECT_EQ(output.data()[index], clean.data()[index]);
      }
    }
  }
}

TYPED_TEST(ForwardTest, NothingToAttendToOrToComputeIsNoError) {
  using T = TypeParam;
  CaseShape noKeys;
  noKeys.context = Shape{0, 6};
  expectLikeReference<T>(noKeys);
  CaseShape noTokens;
  noTokens.height = 0;
  EXPECT_EQ(LayerCase<T>(noTokens).forward().size(), 0);
  CaseShape noBatch;
  noBatch.batch = 0;
  EXPECT_EQ(LayerCase<T>(noBatch).forward().size(), 0);
}

TYPED_TEST(ForwardTest, AnEmptyBatchReadsNoContext) {
  using T = TypeParam;
  CaseShape shape;
  shape.batch = 0;
  shape.context = Shape{0, 7, 6};
  EXPECT_EQ(LayerCase<T>(shape).forward().size(), 0);
  shape.context.reset();
  EXPECT_EQ(LayerCase<T>(shape).forward().size(), 0);
  shape.context = Shape{7, 6};
  shape.mask = Shape{0, 7};
  EXPECT_EQ(LayerCase<T>(shape).forward().size(), 0);
}

}  // namespace cross_attention::test::layer_forward_test
