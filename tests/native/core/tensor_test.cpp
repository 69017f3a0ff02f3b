#include "core/tensor.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "support/comparison.hpp"

namespace cross_attention::test::core_tensor_test {

namespace {

constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();

}  // namespace

TEST(ShapeTest, ReturnsRankSizeAndText) {
  const Shape shape = Shape::checked({2, 320, 64, 64}, "shape");
  EXPECT_EQ(shape.rank(), 4);
  EXPECT_EQ(shape.size(), 2 * 320 * 64 * 64);
  EXPECT_EQ(shape[1], 320);
  EXPECT_EQ(toString(shape), "[2, 320, 64, 64]");
  EXPECT_EQ(std::accumulate(shape.begin(), shape.end(), Index(0)), 2 + 320 + 64 + 64);
  EXPECT_EQ(Shape::checked({}, "shape").size(), 1);
  EXPECT_EQ(toString(Shape()), "[]");
  EXPECT_EQ(Shape::checked({3, 0, 5}, "shape").size(), 0);
}

TEST(ShapeTest, ComparesRankAndDimensions) {
  EXPECT_EQ((Shape{2, 3}), (Shape{2, 3}));
  EXPECT_NE((Shape{2, 3}), (Shape{3, 2}));
  EXPECT_NE((Shape{2, 3}), (Shape{2, 3, 1}));
  EXPECT_NE(Shape{0}, Shape());
}

TEST(ShapeTest, RefusesInvalidDimensions) {
  const auto make = [](const std::vector<std::int64_t>& dimensions) {
    return [dimensions] { Shape::checked(dimensions, "shape"); };
  };
  EXPECT_TRUE(failsWith(ErrorCode::kShape, make({-1})));
  EXPECT_TRUE(failsWith(ErrorCode::kShape, make({2, -3, 4})));
  EXPECT_TRUE(failsWith(ErrorCode::kShape, make({std::numeric_limits<std::int64_t>::min()})));
  EXPECT_TRUE(failsWith(ErrorCode::kShape, make(std::vector<std::int64_t>(9, 1))));
  EXPECT_NO_THROW(make(std::vector<std::int64_t>(8, 1))());
  EXPECT_TRUE(failsWith(ErrorCode::kOutOfMemory, make({kLargest})));
  EXPECT_TRUE(failsWith(ErrorCode::kOutOfMemory, make({1LL << 32, 1LL << 32})));
  // 2^64 elements, which overflows to 0 in 64 bits.
  EXPECT_TRUE(failsWith(ErrorCode::kOutOfMemory, make({1LL << 22, 1LL << 21, 1LL << 21})));
  // No elements, but the strides overflow.
  EXPECT_TRUE(failsWith(ErrorCode::kOutOfMemory, make({0, kLargest, kLargest})));
}

TEST(ShapeTest, ErrorsNameArgumentAndDimensions) {
  try {
    Shape::checked({2, -3}, "context");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(error.message().find("context"), std::string::npos) << error.message();
    EXPECT_NE(error.message().find("[2, -3]"), std::string::npos) << error.message();
  }
}

TEST(ShapeTest, ReshapeInfersOneDimension) {
  EXPECT_EQ(resolveReshape({2, -1}, 12), (Shape{2, 6}));
  EXPECT_EQ(resolveReshape({-1}, 12), (Shape{12}));
  EXPECT_EQ(resolveReshape({3, 2, -1, 2}, 12), (Shape{3, 2, 1, 2}));
  EXPECT_EQ(resolveReshape({4, 3}, 12), (Shape{4, 3}));
  EXPECT_EQ(resolveReshape({}, 1), Shape());
  EXPECT_EQ(resolveReshape({5, -1}, 0), (Shape{5, 0}));
  EXPECT_EQ(resolveReshape({0, 7}, 0), (Shape{0, 7}));
}

TEST(ShapeTest, ReshapeRefusesSizeMismatch) {
  const auto make = [](const std::vector<std::int64_t>& dimensions, Index size) {
    return [dimensions, size] { resolveReshape(dimensions, size); };
  };
  EXPECT_TRUE(failsWith(ErrorCode::kShape, make({5, -1}, 12)));
  EXPECT_TRUE(failsWith(ErrorCode::kShape, make({-1, -1}, 12)));
  EXPECT_TRUE(failsWith(ErrorCode::kShape, make({-2, 6}, 12)));
  EXPECT_TRUE(failsWith(ErrorCode::kShape, make({2, 5}, 12)));
  EXPECT_TRUE(failsWith(ErrorCode::kShape, make({}, 12)));
  // 0 times any size is 0, so the dimension cannot be inferred.
  EXPECT_TRUE(failsWith(ErrorCode::kShape, make({0, -1}, 0)));
  EXPECT_TRUE(failsWith(ErrorCode::kShape, make({0, -1}, 12)));
  // The tensor exists, so an overflowing size is a wrong shape here.
  EXPECT_TRUE(failsWith(ErrorCode::kShape, make({kLargest, kLargest}, 12)));
}

TEST(TensorTest, CopiesShareAndClonesDoNot) {
  Tensor<float> tensor = Tensor<float>::full(Shape{2, 3}, 1.5f);
  Tensor<float> copy = tensor;
  Tensor<float> reshaped = tensor.reshaped({3, -1});
  Tensor<float> clone = tensor.clone();
  tensor.data()[4] = 9;
  EXPECT_EQ(copy.data()[4], 9);
  EXPECT_EQ(reshaped.data()[4], 9);
  EXPECT_EQ(reshaped.shape(), (Shape{3, 2}));
  EXPECT_EQ(clone.data()[4], 1.5f);
  EXPECT_EQ(clone.shape(), tensor.shape());
}

TEST(TensorTest, ReshapedOutlivesItsSource) {
  Tensor<double> reshaped;
  {
    const Tensor<double> source = Tensor<double>::full(Shape{6}, 2.5);
    reshaped = source.reshaped({2, 3});
  }
  EXPECT_TRUE(isNear(reshaped, std::vector<double>(6, 2.5), 0));
}

TEST(TensorTest, EmptyAndScalarTensors) {
  EXPECT_EQ(Tensor<float>().shape(), Shape{0});
  EXPECT_EQ(Tensor<float>().size(), 0);
  EXPECT_EQ(Tensor<float>(Shape{3, 0, 2}).clone().size(), 0);
  EXPECT_EQ(Tensor<float>::zeros(Shape()).size(), 1);
  EXPECT_TRUE(failsWith(ErrorCode::kShape, [] { Tensor<float>(Shape{4}).reshaped({3}); }));
}

TEST(MemoryTest, CountsBytesInUse) {
  const std::size_t before = memory::bytesInUse();
  memory::resetPeak();
  {
    const Tensor<double> first(Shape{100});
    EXPECT_EQ(memory::bytesInUse(), before + 800);
    { const Tensor<float> second(Shape{50}); }
    EXPECT_EQ(memory::bytesInUse(), before + 800);
    EXPECT_EQ(memory::peakBytes(), before + 1000);
    memory::resetPeak();
    EXPECT_EQ(memory::peakBytes(), before + 800);
  }
  EXPECT_EQ(memory::bytesInUse(), before);
}

TEST(MemoryTest, IsAligned) {
  for (const Index size : {1, 3, 17, 1000}) {
    const Buffer<float> buffer(size);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % memory::kAlignment, 0u);
  }
}

TEST(MemoryTest, FailedAllocationThrowsAndCountsNothing) {
  const std::size_t before = memory::bytesInUse();
  EXPECT_TRUE(failsWith(ErrorCode::kOutOfMemory, [] { Tensor<float>(Shape{Index(1) << 55}); }));
  EXPECT_TRUE(failsWith(ErrorCode::kOutOfMemory, [] { memory::allocate(kLargest, sizeof(double)); }));
  EXPECT_EQ(memory::bytesInUse(), before);
}

TEST(MemoryTest, ClearsBuffers) {
  for (const Index size : {1, 7, 1000}) {
    Buffer<double> buffer(size);
    std::fill(buffer.begin(), buffer.end(), -1.5);
    buffer.clear();
    for (const double value : buffer) {
      ASSERT_EQ(value, 0);
      ASSERT_FALSE(std::signbit(value));
    }
  }
  Buffer<double> none;
  none.clear();
  EXPECT_TRUE(none.empty());
  EXPECT_TRUE(isIdentical(Tensor<float>::zeros(Shape{2, 3}), std::vector<float>(6, 0)));
}

TEST(MemoryTest, BuffersMove) {
  const std::size_t before = memory::bytesInUse();
  Buffer<float> first(10);
  const float* data = first.data();
  Buffer<float> second = std::move(first);
  EXPECT_EQ(second.data(), data);
  second = Buffer<float>(20);
  EXPECT_EQ(memory::bytesInUse(), before + 80);
  EXPECT_EQ(second.size(), 20);
}

}  // namespace cross_attention::test::core_tensor_test
