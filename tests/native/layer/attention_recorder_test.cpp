#include "layer/attention_recorder.hpp"

#include <gtest/gtest.h>

#include "support/comparison.hpp"
#include "support/folding.hpp"
#include "support/threads.hpp"

/// Recorded sums against the maps of attentionMaps, which computes them in another way.
namespace cross_attention::test::layer_attention_recorder_test {

namespace {

using layer::AttentionRecorder;

const AttentionRecorder::Groups& groups() {
  static const AttentionRecorder::Groups all{{0}, {6, 2, 3}, {0, 1, 2, 3, 4, 5, 6}};
  return all;
}

template <class T>
Tensor<T> forward(LayerCase<T>& layerCase, AttentionRecorder& recorder, bool conditional = false) {
  return layerCase.layer.forward(layerCase.input, layerCase.contextPointer(), layerCase.mask,
                                 {.recorder = &recorder, .name = "name", .conditional = conditional});
}

/// Returns the sums of a group over heads, keys and rows from `firstRow` on.
template <class T>
std::vector<double> sumsOfMaps(LayerCase<T>& layerCase, const std::vector<Index>& keys, Index firstRow = 0) {
  const CaseShape& shape = layerCase.shape;
  const Tensor<T> maps = layerCase.maps(layer::MapHeads::kAll);
  std::vector<double> sums(static_cast<std::size_t>(shape.tokens()));
  for (Index row = firstRow; row < shape.batch; ++row) {
    for (Index head = 0; head < shape.numHeads; ++head) {
      for (const Index key : keys) {
        const T* map = maps.data() + ((row * shape.numHeads + head) * shape.length() + key) * shape.tokens();
        for (double& sum : sums) sum += static_cast<double>(*map++);
      }
    }
  }
  return sums;
}

std::vector<double> recorded(AttentionRecorder& recorder, std::size_t group, const CaseShape& shape) {
  const auto sums = recorder.sumsOf("name", shape.height, shape.width);
  const double* begin = sums->values.data() + static_cast<Index>(group) * shape.tokens();
  return {begin, begin + shape.tokens()};
}

std::vector<CaseShape> shapes() {
  std::vector<CaseShape> all;
  for (CaseShape shape : {CaseShape{}, foldingShape()}) {
    shape.batch = 2;
    for (const std::optional<Shape>& mask :
         {std::optional<Shape>(), std::optional<Shape>(Shape{2, 7}),
          std::optional<Shape>(Shape{2, shape.numHeads, shape.tokens(), 7})}) {
      shape.mask = mask;
      for (const bool ignoresWholeRow : {false, true}) {
        if (ignoresWholeRow && !mask) continue;
        shape.ignoresWholeRow = ignoresWholeRow;
        for (const Index keyBlock : {0, 5, 6}) {
          shape.keyBlock = keyBlock;
          all.push_back(shape);
        }
      }
    }
  }
  return all;
}

}  // namespace

template <class T>
class AttentionRecorderTest : public testing::Test {};
using Formats = testing::Types<float, double>;
TYPED_TEST_SUITE(AttentionRecorderTest, Formats);

TYPED_TEST(AttentionRecorderTest, SumsOfMapsAndTheSameOutput) {
  using T = TypeParam;
  bool folds = false;
  for (const CaseShape& shape : shapes()) {
    SCOPED_TRACE(shape.describe());
    LayerCase<T> layerCase(shape);
    folds = folds || foldsContext(layerCase);
    const Tensor<T> expected = layerCase.forward();
    for (const bool conditional : {false, true}) {
      AttentionRecorder recorder(4, groups());
      for (int threads = 1; threads <= 2; ++threads) {
        const ThreadsInScope scope(threads);
        ASSERT_TRUE(isIdentical(forward(layerCase, recorder, conditional), expected));
      }
      EXPECT_EQ(recorder.calls(), 2);
      for (std::size_t group = 0; group < groups().size(); ++group) {
        std::vector<double> sums = sumsOfMaps(layerCase, groups()[group], conditional ? 1 : 0);
        for (double& sum : sums) sum *= 2;
        // Up to 2 calls · 2 rows · 2 heads · 7 keys with the rounding errors of a probability each.
        ASSERT_TRUE(isNear(recorded(recorder, group, shape), sums, 60 * std::numeric_limits<T>::epsilon()));
      }
    }
  }
  EXPECT_TRUE(folds);
}

TYPED_TEST(AttentionRecorderTest, PendingCallsAreRecordedWhenTheyFinish) {
  using T = TypeParam;
  LayerCase<T> layerCase{CaseShape{}};
  AttentionRecorder expected(4, groups());
  forward(layerCase, expected);
  const auto start = [&](AttentionRecorder& recorder) {
    return layerCase.layer.startForward(layerCase.input, layerCase.contextPointer(), layerCase.mask,
                                        {.recorder = &recorder, .name = "name"});
  };
  AttentionRecorder recorder(4, groups());
  auto pending = start(recorder);
  EXPECT_EQ(recorder.calls(), 0);
  // A change of the parameters finishes the call.
  layerCase.layer.updateParameters(0);
  EXPECT_EQ(recorder.calls(), 1);
  EXPECT_TRUE(isIdentical(recorder.heatMap(1, {}, false, 4, 4), expected.heatMap(1, {}, false, 4, 4)));
  pending = start(recorder);
  recorder.reset();
  pending->result();
  EXPECT_EQ(recorder.calls(), 0);
  // A call whose recorder is destroyed before it ends, and one that never ends.
  {
    AttentionRecorder other(4, groups());
    pending = start(other);
  }
  pending->result();
  pending = start(recorder);
}

TYPED_TEST(AttentionRecorderTest, ThrowsBeforeAnythingChanges) {
  using T = TypeParam;
  CaseShape shape;
  shape.batch = 3;
  shape.layout = Layout::kBatches;
  LayerCase<T> layerCase(shape);
  AttentionRecorder recorder(4, groups());
  const auto code = [](auto work) {
    try {
      work();
    } catch (const Error& error) {
      return std::optional<ErrorCode>(error.code());
    }
    return std::optional<ErrorCode>();
  };
  // 3 · 5 tokens are no square.
  EXPECT_EQ(code([&] { forward(layerCase, recorder); }), ErrorCode::kShape);
  shape.width = 3;
  LayerCase<T> square(shape);
  EXPECT_EQ(code([&] { forward(square, recorder, true); }), ErrorCode::kShape);
  AttentionRecorder far(4, {{7}});
  EXPECT_EQ(code([&] { forward(square, far); }), ErrorCode::kArgument);
  EXPECT_EQ(code([&] { recorder.heatMap(0, {}, false, 4, 4); }), ErrorCode::kArgument);
  EXPECT_EQ(code([&] { forward(square, recorder); }), std::nullopt);
  EXPECT_EQ(recorder.calls(), 1);
  EXPECT_EQ(code([&] { recorder.heatMap(0, {"other"}, false, 4, 4); }), ErrorCode::kArgument);
}

}  // namespace cross_attention::test::layer_attention_recorder_test
