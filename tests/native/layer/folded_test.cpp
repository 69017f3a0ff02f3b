#include <gtest/gtest.h>

#include <cmath>

#include "support/build.hpp"
#include "support/comparison.hpp"
#include "support/folding.hpp"
#include "support/gradients.hpp"

/// Layers whose context is folded with the weights (layer/folded_context), against the reference, and their neighbours
/// that just do not fold.
namespace cross_attention::test::layer_folded_test {

namespace {

using linalg::kTileRows;

template <class T>
std::vector<CaseShape> foldingCalls() {
  std::vector<CaseShape> all;
  const auto add = [&all](auto change) {
    CaseShape shape = foldingShape();
    change(shape);
    shape.seed = all.size() + 1;
    all.push_back(shape);
  };
  add([](CaseShape&) {});
  add([](CaseShape& shape) { shape.layout = Layout::kBatches; });
  add([](CaseShape& shape) { shape.layout = Layout::kSingle; });
  add([](CaseShape& shape) { shape.numHeads = 1; });
  // Heads of 17 channels; contexts as wide as the image and wider.
  add([](CaseShape& shape) {
    shape.queryDim = 51;
    shape.numHeads = 3;
    shape.context = Shape{7, 51};
  });
  add([](CaseShape& shape) { shape.context = Shape{1, 7, 133}; });
  // Around the rows of a tile.
  for (const Index keys : {Index(1), kTileRows<T> - 1, kTileRows<T>, kTileRows<T> + 1,
                           2 * kTileRows<T>, 3 * kTileRows<T>}) {
    add([keys](CaseShape& shape) {
      shape.numHeads = 1;
      shape.context = Shape{keys, 20};
    });
  }
  // One token each, which all share a context.
  add([](CaseShape& shape) {
    shape.batch = 40;
    shape.height = 1;
    shape.width = 1;
    shape.context = Shape{1, 3, 20};
  });
  add([](CaseShape& shape) { shape.tokenBlock = 1; });
  add([](CaseShape& shape) { shape.tokenBlock = 48; });
  // Several blocks of tokens, each with its own part of the mask.
  for (const Index tokenBlock : {0, 1, 70}) {
    for (const Index heads : {1, 2}) {
      add([&](CaseShape& shape) {
        shape.height = 11;
        shape.width = 13;
        shape.tokenBlock = tokenBlock;
        shape.mask = Shape{1, heads, 143, 7};
      });
    }
  }
  // As many keys as a tile takes.
  add([](CaseShape& shape) {
    shape.numHeads = 1;
    shape.queryDim = 24;
    shape.height = 20;
    shape.width = 17;
    shape.context = Shape{256, 5};
  });
  for (const Shape& context : {Shape{7, 20}, Shape{1, 7, 20}, Shape{3, 7, 20}}) {
    for (const Layout layout : {Layout::kImage, Layout::kBatches}) {
      const auto addBatch = [&](auto change) {
        add([&](CaseShape& shape) {
          shape.batch = 3;
          shape.context = context;
          shape.layout = layout;
          change(shape);
        });
      };
      addBatch([](CaseShape&) {});
      for (const bool ignoring : {false, true}) {
        for (const Index batch : {1, 3}) {
          addBatch([&](CaseShape& shape) {
            shape.mask = Shape{batch, 7};
            shape.ignoresWholeRow = ignoring;
          });
          for (const Index heads : {1, 2}) {
            for (const Index tokens : {1, 63}) {
              addBatch([&](CaseShape& shape) {
                shape.mask = Shape{batch, heads, tokens, 7};
                shape.ignoresWholeRow = ignoring;
              });
            }
          }
        }
      }
    }
  }
  return all;
}

/// One step from folding: too many keys, heads or too few tokens, self-attention, a tile of the caller's choice.
std::vector<CaseShape> neighbours() {
  std::vector<CaseShape> all;
  const auto add = [&all](auto change) {
    CaseShape shape = foldingShape();
    change(shape);
    shape.seed = all.size() + 100;
    all.push_back(shape);
  };
  add([](CaseShape& shape) {
    shape.queryDim = 48;
    shape.numHeads = 12;
  });
  add([](CaseShape& shape) {
    shape.height = 1;
    shape.width = 5;
  });
  add([](CaseShape& shape) { shape.context.reset(); });
  add([](CaseShape& shape) { shape.keyBlock = 20; });
  add([](CaseShape& shape) {
    shape.numHeads = 1;
    shape.queryDim = 24;
    shape.height = 20;
    shape.width = 17;
    shape.context = Shape{257, 5};
  });
  // Each row has its own key mask: 5 tokens a set instead of 3 · 5, which would fold.
  add([](CaseShape& shape) {
    shape.batch = 3;
    shape.height = 1;
    shape.width = 5;
    shape.mask = Shape{3, 7};
  });
  return all;
}

template <class T>
struct Worst {
  double forward = 0;
  double gradients = 0;

  /// Output and gradients like the reference's.
  void check(LayerCase<T>& one) {
    SCOPED_TRACE(one.shape.describe());
    const double epsilon = std::numeric_limits<T>::epsilon();
    const ReferenceLayer reference = one.reference();
    const double tolerance = reference.tolerance(epsilon);
    one.layer.setTraining(false);
    const Tensor<T> output = one.forward();
    const std::vector<double> expected = reference.output();
    EXPECT_EQ(output.shape(), one.shape.inputShape());
    EXPECT_TRUE(isNear(one.rows(output), expected, tolerance));
    forward = std::max(forward, largestDifference(one.rows(output), expected) / tolerance);
    gradients = std::max(gradients,
                         expectGradientsMatchReference(one, gradientTolerance(reference, epsilon)));
  }
  void print(const char* what) const {
    std::printf("%s, %zu bytes: forward at most %.2g of what is allowed, gradients %.2g\n", what,
                sizeof(T), forward, gradients);
  }
};

/// All of them fold, or none.
template <class T>
void checkAll(const std::vector<CaseShape>& shapes, bool fold, const char* title) {
  Worst<T> worst;
  for (const CaseShape& shape : shapes) {
    LayerCase<T> one(shape);
    ASSERT_EQ(foldsContext(one), fold) << shape.describe();
    worst.check(one);
  }
  worst.print(title);
}

}  // namespace

template <class T>
class FoldedTest : public testing::Test {};
using Formats = testing::Types<float, double>;
TYPED_TEST_SUITE(FoldedTest, Formats);

TYPED_TEST(FoldedTest, OutputAndGradientsLikeTheReference) {
  checkAll<TypeParam>(foldingCalls<TypeParam>(), true, "folded");
}

TYPED_TEST(FoldedTest, NeighboursThatDoNotFold) {
  checkAll<TypeParam>(neighbours(), false, "not folded");
}

TYPED_TEST(FoldedTest, KeyMasksOfDifferentCounts) {
  using T = TypeParam;
  // One key, none, all, some: by themselves as many as fold. And a context too long to fold, of which few are attended to.
  for (const Index length : {7, 600}) {
    for (const bool shared : {false, true}) {
      CaseShape shape = foldingShape();
      shape.batch = 4;
      shape.context = Shape{shared ? 1 : 4, length, 20};
      LayerCase<T> one(shape);
      Tensor<T> mask = Tensor<T>::zeros(Shape{4, length});
      mask.data()[length - 1] = T(1);
      for (Index key = 0; key < 7; ++key) mask.data()[2 * length + key * (length / 7)] = T(1);
      for (const Index key : {1, 2, 5}) mask.data()[3 * length + key] = T(1);
      one.maskTensor = mask;
      one.mask = layer::Mask<T>::from(mask);
      ASSERT_TRUE(foldsContext(one)) << length;
      Worst<T> worst;
      worst.check(one);
      one.mask = {};
      EXPECT_EQ(foldsContext(one), length == 7);
    }
  }
}

TYPED_TEST(FoldedTest, NothingToAttendTo) {
  using T = TypeParam;
  CaseShape shape = foldingShape();
  shape.context = Shape{0, 20};
  LayerCase<T> none(shape);
  Worst<T> worst;
  worst.check(none);
  shape = foldingShape();
  shape.batch = 2;
  LayerCase<T> ignored(shape);
  ignored.maskTensor = Tensor<T>::zeros(Shape{1, 7});
  ignored.mask = layer::Mask<T>::from(*ignored.maskTensor);
  worst.check(ignored);
}

TYPED_TEST(FoldedTest, SeveralChunksOfABackward) {
  using T = TypeParam;
  if (kSanitized) {
    reportSkipped("several chunks of a folded backward");
    return;
  }
  // A chunk's matrix of queryDim × tokens takes at most 2 MiB, 1 MiB where the way back is not folded.
  CaseShape shape = foldingShape();
  shape.queryDim = 128;
  shape.batch = 2;
  const Index chunkTokens = 2 * 1024 * 1024 / static_cast<Index>(sizeof(T)) / shape.queryDim;
  shape.height = 3;
  shape.width = chunkTokens / 3 + 7;
  shape.context = Shape{4, 11};
  Worst<T> worst;
  LayerCase<T> shared(shape);
  ASSERT_TRUE(foldsContext(shared));
  ASSERT_LT(layer::planBackward<T>(shared.layer.configuration(), shape.tokens(), 4,
                                   layer::kFoldsGradients<T>)
                .chunk,
            shape.tokens());
  worst.check(shared);
  shape.layout = Layout::kBatches;
  shape.context = Shape{2, 4, 11};
  shape.mask = Shape{2, 2, shape.tokens(), 4};
  LayerCase<T> own(shape);
  ASSERT_TRUE(foldsContext(own));
  worst.check(own);
  worst.print("several chunks, folded");
}

TYPED_TEST(FoldedTest, LargeInputsGiveNoNaN) {
  using T = TypeParam;
  for (const double bound : {1e2, 1e4}) {
    CaseShape shape = foldingShape();
    shape.batch = 2;
    shape.bound = bound;
    shape.mask = Shape{2, 7};
    LayerCase<T> one(shape);
    ASSERT_TRUE(foldsContext(one));
    const Tensor<T> output = one.forward();
    ASSERT_TRUE(isFinite(output));
    // Weighted means of values cannot leave their range, but for rounding.
    ASSERT_LE(largestMagnitude(output), one.reference().outputBound() * (1 + 1e-4));
    ASSERT_TRUE(isFinite(one.forwardAndBackward()));
    ASSERT_TRUE(isFinite(one.parameterGradients()));
  }
}

/// Not so yet: where all scores of a token are -infinity, it looks like one that a mask leaves nothing, and its output is
/// the bias. With one key that is so for half of all weights; without folding it takes a head of one channel.
TYPED_TEST(FoldedTest, InfinityOfTheInputShowsWithFewKeys) {
  GTEST_SKIP()
      << "an infinite input can vanish where few keys are folded: its scores are all -infinity";
  using T = TypeParam;
  CaseShape shape = foldingShape();
  shape.numHeads = 1;
  shape.context = Shape{1, 20};
  for (const T value : {std::numeric_limits<T>::infinity(), -std::numeric_limits<T>::infinity()}) {
    LayerCase<T> one(shape);
    ASSERT_TRUE(foldsContext(one));
    one.input.data()[3] = value;
    EXPECT_TRUE(std::isnan(one.forward().data()[3])) << value;
  }
}

TYPED_TEST(FoldedTest, NaNAndInfinityOfTheInputShowInTheirTokenAlone) {
  using T = TypeParam;
  for (const T value : {std::numeric_limits<T>::quiet_NaN(), std::numeric_limits<T>::infinity(),
                        -std::numeric_limits<T>::infinity()}) {
    LayerCase<T> one(foldingShape());
    const Tensor<T> clean = one.forward();
    one.input.data()[3] = value;
    const Tensor<T> output = one.forward();
    for (Index index = 0; index < output.size(); ++index) {
      if (index % one.shape.tokens() == 3) {
        ASSERT_TRUE(std::isnan(output.data()[index])) << value;
      } else {
        ASSERT_EQ(output.data()[index], clean.data()[index]);
      }
    }
  }
}

}  // namespace cross_attention::test::layer_folded_test
