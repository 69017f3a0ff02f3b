#include "operators/linear.hpp"

#include "linalg/multiply.hpp"
#include "operators/rows.hpp"

namespace cross_attention::operators {

namespace {

using linalg::ColumnPanels;
using linalg::columnPanels;
using linalg::columnPanelsSize;
using linalg::MatrixView;
using linalg::packColumns;
using linalg::packRows;
using linalg::rowMajor;
using linalg::RowPanels;
using linalg::rowPanelsSize;
using linalg::Start;

/// Rows of the input per task: their panels stay in the second-level cache.
constexpr Index kTaskRows = 64;
/// Features of the output per task that packs weights or adds to their gradient.
template <class T>
constexpr Index kTaskFeatures = 8 * linalg::kTileRows<T>;
/// Rows of the input per block of the weights' gradient.
constexpr Index kChunkRows = 1024;

/// Computes destination (rows × n) = source (rows × k) · leftᵀ (n × k) + bias, as channels × tokens with the
/// weights on the left.
template <class T>
void multiplyRows(MatrixView<const T> left, const T* source, Index rows, T* destination, const T* bias) {
  const Index depth = left.columns;
  const Index features = left.rows;
  Buffer<T> memory(rowPanelsSize<T>(features, depth));
  // Plain views, so that the tasks' closures do not copy the buffer.
  const RowPanels<T> panels = linalg::rowPanels<T>(memory.data(), features, depth);
  T* packed = memory.data();
  const ByteCount scratchBytes = Scratch::bytesFor<T>(columnPanelsSize<T>(depth, kTaskRows)) +
                                 Scratch::bytesFor<T>(columnPanelsSize<T>(features, kTaskRows));
  Schedule schedule(Workspace::shared());
  schedule.add(ceilDivide(features, kTaskFeatures<T>), 0, [=](Index task, Scratch&) {
    const Index begin = task * kTaskFeatures<T>;
    packRows<T>(left.rowRange(begin, std::min(kTaskFeatures<T>, features - begin)), packed + begin * depth);
  });
  schedule.add(ceilDivide(rows, kTaskRows), scratchBytes, [=](Index task, Scratch& scratch) {
    const Index begin = task * kTaskRows;
    const Index count = std::min(kTaskRows, rows - begin);
    const ColumnPanels<T> right = packColumns<T>(rowMajor(source + begin * depth, count, depth).transposed(),
                                                 scratch.take<T>(columnPanelsSize<T>(depth, count)));
    const ColumnPanels<T> result =
        columnPanels(scratch.take<T>(columnPanelsSize<T>(features, count)), features, count);
    linalg::multiply<T>(panels, right, result, bias != nullptr ? Start::kBias : Start::kZero, bias);
    linalg::unpackColumns<T>(result, rowMajor(destination + begin * features, count, features).transposed());
  });
  schedule.run();
}

}  // namespace

template <class T>
Linear<T>::Linear(ParameterSet<T>& parameters, const std::string& name, Index inFeatures, Index outFeatures,
                  std::optional<Initial> weight)
    : inFeatures_(inFeatures),
      outFeatures_(outFeatures),
      weight_(parameters.add(name + ".weight", {outFeatures, inFeatures},
                             weight.value_or(Initial::xavier(inFeatures, outFeatures)))),
      bias_(parameters.add(name + ".bias", {outFeatures}, Initial::zero())) {}

template <class T>
Tensor<T> Linear<T>::forward(const Tensor<T>& input, bool saveForBackward) {
  Tensor<T> output(withFeatures(input.shape(), outFeatures_));
  multiplyRows<T>(rowMajor<const T>(weight_.values.data(), outFeatures_, inFeatures_), input.data(),
                  rowsOf(input), output.data(), bias_.values.data());
  input_ = saveForBackward ? input : Tensor<T>();
  return output;
}

template <class T>
Tensor<T> Linear<T>::backward(const Tensor<T>& outputGradient) {
  if (weight_.trainable) addWeightGradient(outputGradient);
  if (bias_.trainable) addBiasGradient(outputGradient);
  return inputGradient(outputGradient);
}

/// dx = dy·W
template <class T>
Tensor<T> Linear<T>::inputGradient(const Tensor<T>& outputGradient) {
  Tensor<T> gradient(input_.shape());
  multiplyRows<T>(rowMajor<const T>(weight_.values.data(), outFeatures_, inFeatures_).transposed(),
                  outputGradient.data(), rowsOf(outputGradient), gradient.data(), nullptr);
  return gradient;
}

/// dW += dyᵀ·x, block by block of the rows. The order of summation depends only on the shapes.
template <class T>
void Linear<T>::addWeightGradient(const Tensor<T>& outputGradient) {
  constexpr Index kTaskColumns = 4 * linalg::kTileColumns<T>;
  const Index rows = rowsOf(outputGradient);
  const Index out = outFeatures_;
  const Index in = inFeatures_;
  const T* dy = outputGradient.data();
  const T* x = input_.data();
  T* gradient = weight_.gradient.data();
  Buffer<T> memory(columnPanelsSize<T>(std::min(rows, kChunkRows), in));
  T* packed = memory.data();
  Schedule schedule(Workspace::shared());
  for (Index begin = 0; begin < rows; begin += kChunkRows) {
    const Index count = std::min(kChunkRows, rows - begin);
    schedule.add(ceilDivide(in, kTaskColumns), 0, [=](Index task, Scratch&) {
      const Index column = task * kTaskColumns;
      packColumns<T>(
          rowMajor(x + begin * in, count, in).columnRange(column, std::min(kTaskColumns, in - column)),
          packed + column * count);
    });
    schedule.add(
        ceilDivide(out, kTaskFeatures<T>), Scratch::bytesFor<T>(rowPanelsSize<T>(kTaskFeatures<T>, count)),
        [=](Index task, Scratch& scratch) {
          const Index feature = task * kTaskFeatures<T>;
          const Index features = std::min(kTaskFeatures<T>, out - feature);
          const RowPanels<T> left =
              packRows<T>(rowMajor(dy + begin * out, count, out).transposed().rowRange(feature, features),
                          scratch.take<T>(rowPanelsSize<T>(features, count)));
          linalg::multiply<T>(left, columnPanels(packed, count, in),
                              rowMajor(gradient + feature * in, features, in), Start::kAccumulate);
        });
  }
  schedule.run();
}

/// db += Σ dy
template <class T>
void Linear<T>::addBiasGradient(const Tensor<T>& outputGradient) {
  const Index rows = rowsOf(outputGradient);
  const Index out = outFeatures_;
  const T* dy = outputGradient.data();
  T* gradient = bias_.gradient.data();
  constexpr Index kBlockFeatures = 64;
  forRowBlocks(out, kBlockFeatures, [=](Index begin, Index end) {
    for (Index row = 0; row < rows; ++row) {
      for (Index feature = begin; feature < end; ++feature) {
        gradient[feature] += dy[row * out + feature];
      }
    }
  });
}

template class Linear<float>;
template class Linear<double>;

}  // namespace cross_attention::operators
