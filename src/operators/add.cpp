#include "operators/add.hpp"

#include "operators/rows.hpp"

namespace cross_attention::operators {

template <class T>
void addTo(Tensor<T>& a, const Tensor<T>& b) {
  T* to = a.data();
  const T* from = b.data();
  forRowBlocks(a.size(), rowsPerBlock(1), [=](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) to[i] += from[i];
  });
}

template <class T>
Tensor<T> add(const Tensor<T>& a, const Tensor<T>& b) {
  Tensor<T> result(a.shape());
  T* to = result.data();
  const T* first = a.data();
  const T* second = b.data();
  forRowBlocks(a.size(), rowsPerBlock(1), [=](Index begin, Index end) {
    for (Index i = begin; i < end; ++i) to[i] = first[i] + second[i];
  });
  return result;
}

template void addTo(Tensor<float>&, const Tensor<float>&);
template void addTo(Tensor<double>&, const Tensor<double>&);
template Tensor<float> add(const Tensor<float>&, const Tensor<float>&);
template Tensor<double> add(const Tensor<double>&, const Tensor<double>&);

}  // namespace cross_attention::operators
