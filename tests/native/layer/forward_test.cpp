#include <gtest/gtest.h>

#include <limits>

#include "support/build.hpp"
#include "support/comparison.hpp"
#include "support/layer_case.hpp"

namespace cross_attention::test::layer_forward_test {

namespace {

/// Returns the shape of a key mask or of an additive mask with random broadcast dimensions.
Shape randomMaskShape(Random& random, const CaseShape& shape) {
  const Index batch = shape.layout == Layout::kSingle ? 1 : shape.batch;
  const auto full = [&random](Index size) { return random.next() % 2 == 0 ? size : Index(1); };
  if (random.next() % 2 == 0) return {full(batch), shape.length()};
  return {full(batch), full(shape.numHeads), full(shape.tokens()), shape.length()};
}

/// Returns sizes from 1 to `max`, including odd ones, L = 1, N = 1, H ≠ W, 1 to 8 heads, and contexts with
/// and without a batch dimension.
CaseShape randomShape(std::uint64_t seed, Index max) {
  Random random(seed);
  constexpr Layout kLayouts[] = {Layout::kImage, Layout::kBatches, Layout::kSingle};
  CaseShape shape;
  shape.seed = seed;
  shape.layout = oneOf(random, kLayouts);
  shape.batch = shape.layout == Layout::kSingle ? 1 : between(random, 1, 3);
  const Index tokens = random.next() % 8 == 0 ? 1 : between(random, 1, max);
  shape.height = between(random, 1, std::min<Index>(tokens, 9));
  shape.width = std::max<Index>(1, tokens / shape.height);
  shape.numHeads = between(random, 1, 8);
  shape.queryDim = shape.numHeads * between(random, 1, std::max<Index>(1, max / shape.numHeads));
  const Index length = random.next() % 8 == 0 ? 1 : between(random, 1, max);
  const Index contextDim = between(random, 1, max);
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

/// Returns the mean over the heads: [B, L, N] from [B, heads, L, N].
std::vector<double> meanOverHeads(const std::vector<double>& maps, Index heads, Index mapSize) {
  std::vector<double> mean(maps.size() / static_cast<std::size_t>(heads), 0.0);
  for (std::size_t element = 0; element < maps.size(); ++element) {
    const auto map = static_cast<Index>(element) / mapSize;
    const Index index = map / heads * mapSize + static_cast<Index>(element) % mapSize;
    mean[static_cast<std::size_t>(index)] += maps[element] / static_cast<double>(heads);
  }
  return mean;
}

template <class T>
void expectOutputAndMapsMatchReference(const CaseShape& shape) {
  SCOPED_TRACE(shape.describe());
  LayerCase<T> layerCase(shape);
  const ReferenceLayer reference = layerCase.reference();
  const double epsilon = std::numeric_limits<T>::epsilon();
  const double tolerance = reference.tolerance(epsilon);
  const Tensor<T> output = layerCase.forward();
  EXPECT_EQ(output.shape(), shape.outputShape());
  EXPECT_TRUE(isNear(layerCase.rows(output), reference.output(), tolerance));

  const std::vector<double> maps = reference.probabilities();
  const Tensor<T> all = layerCase.maps(layer::MapHeads::kAll);
  const Tensor<T> mean = layerCase.maps(layer::MapHeads::kMean);
  // Probabilities are at most 1 and do not depend on the values: the tolerance of the output over its
  // magnitude.
  const double mapTolerance =
      std::min(0.5, tolerance / std::max(1e-3, largestMagnitude(reference.outputBias)));
  EXPECT_TRUE(isNear(all, maps, mapTolerance));
  EXPECT_TRUE(
      isNear(mean, meanOverHeads(maps, shape.numHeads, shape.length() * shape.tokens()), mapTolerance));
}

}  // namespace

template <class T>
class ForwardTest : public testing::Test {};
using Formats = testing::Types<float, double>;
TYPED_TEST_SUITE(ForwardTest, Formats);

TYPED_TEST(ForwardTest, RandomShapes) {
  const int cases = reduced(150, 100);
  for (int number = 0; number < cases; ++number) {
    // Most shapes are small, so that many blocks are partial; every fifth has sizes up to 130.
    const bool large = number % 5 == 0;
    expectOutputAndMapsMatchReference<TypeParam>(
        randomShape(static_cast<std::uint64_t>(number), large ? reduced<Index>(130, 90) : 24));
    if (this->HasFailure()) break;
  }
}

TYPED_TEST(ForwardTest, RandomProjections) {
  using layer::QueryKeyNorm;
  constexpr QueryKeyNorm kNorms[] = {QueryKeyNorm::kNone, QueryKeyNorm::kLayerNorm, QueryKeyNorm::kRmsNorm};
  const int cases = reduced(150, 100);
  for (int number = 0; number < cases; ++number) {
    CaseShape shape = randomShape(static_cast<std::uint64_t>(1000 + number), number % 5 == 0 ? 90 : 24);
    Random random(shape.seed);
    if (random.next() % 2 == 0) shape.headChannels = between(random, 1, 24);
    if (random.next() % 2 == 0) shape.outputChannels = between(random, 1, 50);
    shape.bias = random.next() % 2 == 0;
    shape.outputBias = random.next() % 2 == 0;
    shape.norm = oneOf(random, kNorms);
    expectOutputAndMapsMatchReference<TypeParam>(shape);
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
        expectOutputAndMapsMatchReference<TypeParam>(shape);
        for (const Index heads : {1, 4}) {
          for (const Index tokens : {Index(1), shape.tokens()}) {
            shape.mask = Shape{batch, heads, tokens, 9};
            expectOutputAndMapsMatchReference<TypeParam>(shape);
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
    expectOutputAndMapsMatchReference<TypeParam>(shape);
  }
}

TYPED_TEST(ForwardTest, AFullyMaskedRowGivesTheBias) {
  using T = TypeParam;
  for (const Shape& mask : {Shape{2, 7}, Shape{2, 1, 1, 7}}) {
    CaseShape shape;
    shape.batch = 2;
    LayerCase<T> layerCase(shape);
    Tensor<T> values(mask);
    const T ignored = mask.rank() == 2 ? T(0) : -std::numeric_limits<T>::infinity();
    std::fill(values.begin(), values.end(), mask.rank() == 2 ? T(1) : T(0));
    std::fill_n(values.data() + 7, 7, ignored);
    layerCase.mask = layer::Mask<T>::from(values);
    const Tensor<T> output = layerCase.forward();
    const std::span<const T> bias = layerCase.layer.parameters().values(layer::ParameterId::kOutputBias);
    const T* second = output.data() + shape.queryDim * shape.tokens();
    for (Index channel = 0; channel < shape.queryDim; ++channel) {
      for (Index token = 0; token < shape.tokens(); ++token) {
        EXPECT_EQ(second[channel * shape.tokens() + token], bias[static_cast<std::size_t>(channel)]);
      }
    }
    EXPECT_NE(output.data()[0], bias[0]);
    const Tensor<T> maps = layerCase.maps(layer::MapHeads::kAll);
    for (Index index = maps.size() / 2; index < maps.size(); ++index) {
      ASSERT_EQ(maps.data()[index], T(0));
    }
  }
}

TYPED_TEST(ForwardTest, AKeyMaskOfOnesAndAMaskOfZerosDoNotChangeBits) {
  using T = TypeParam;
  CaseShape shape;
  shape.batch = 2;
  LayerCase<T> layerCase(shape);
  const Tensor<T> plain = layerCase.forward();
  layerCase.mask = layer::Mask<T>::from(Tensor<T>::full(Shape{2, 7}, T(1)));
  EXPECT_TRUE(isIdentical(layerCase.forward(), plain));
  layerCase.mask = layer::Mask<T>::from(Tensor<T>::zeros(Shape{1, 1, 1, 7}));
  EXPECT_TRUE(isIdentical(layerCase.forward(), plain));
  // A key mask may be of either dtype.
  layerCase.mask = layer::Mask<T>::from(Tensor<float>::full(Shape{1, 7}, 1));
  EXPECT_TRUE(isIdentical(layerCase.forward(), plain));
  layerCase.mask = layer::Mask<T>::from(Tensor<double>::full(Shape{1, 7}, 1));
  EXPECT_TRUE(isIdentical(layerCase.forward(), plain));
}

TYPED_TEST(ForwardTest, AllLayoutsGiveTheSameBits) {
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

TYPED_TEST(ForwardTest, BlockSizesChangeRoundingOnly) {
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
  // As the planner guarantees, token blocks do not change bits.
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
    LayerCase<T> layerCase(shape);
    const Tensor<T> output = layerCase.forward();
    ASSERT_TRUE(isFinite(output));
    // Weighted means of values stay within their range; 1e-4 is for the rounding of sums of up to 80 terms.
    ASSERT_LE(largestMagnitude(output), layerCase.reference().outputBound() * (1 + 1e-4));
    const Tensor<T> maps = layerCase.maps(layer::MapHeads::kAll);
    ASSERT_TRUE(isFinite(maps));
    layerCase.layer.setTraining(true);
    layerCase.forward();
    ASSERT_TRUE(isFinite(layerCase.layer.backward(layerCase.outputGradient)));
    ASSERT_TRUE(isFinite(layerCase.parameterGradients()));
    if constexpr (std::is_same_v<T, double>) {
      // With scores of 1e8, float64 still has eight digits.
      const ReferenceLayer reference = layerCase.reference();
      ASSERT_TRUE(isNear(layerCase.rows(output), reference.output(),
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
    LayerCase<T> layerCase(shape);
    const Tensor<T> maps = layerCase.maps(layer::MapHeads::kAll);
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
    // 77 probabilities, each with a rounding error of a few epsilon.
    EXPECT_LE(worst, 77 * 4 * std::numeric_limits<T>::epsilon()) << "inputs within ± " << bound;
  }
}

TYPED_TEST(ForwardTest, NaNAndInfinityInTheInputAffectTheirToken) {
  using T = TypeParam;
  for (const T value : {std::numeric_limits<T>::quiet_NaN(), std::numeric_limits<T>::infinity()}) {
    LayerCase<T> layerCase((CaseShape()));
    const Tensor<T> clean = layerCase.forward();
    layerCase.input.data()[3] = value;
    const Tensor<T> output = layerCase.forward();
    for (Index index = 0; index < output.size(); ++index) {
      const Index token = index % layerCase.shape.tokens();
      if (token == 3) {
        EXPECT_TRUE(std::isnan(output.data()[index]));
      } else {
        EXPECT_EQ(output.data()[index], clean.data()[index]);
      }
    }
  }
}

TYPED_TEST(ForwardTest, NoKeysNoTokensOrNoBatchIsNoError) {
  using T = TypeParam;
  CaseShape noKeys;
  noKeys.context = Shape{0, 6};
  expectOutputAndMapsMatchReference<T>(noKeys);
  CaseShape noTokens;
  noTokens.height = 0;
  EXPECT_EQ(LayerCase<T>(noTokens).forward().size(), 0);
  CaseShape noBatch;
  noBatch.batch = 0;
  EXPECT_EQ(LayerCase<T>(noBatch).forward().size(), 0);
}

TYPED_TEST(ForwardTest, AnEmptyBatchDoesNotReadTheContext) {
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
