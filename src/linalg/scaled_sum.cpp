#include "linalg/scaled_sum.hpp"

namespace cross_attention::linalg {

template <class T>
void addScaled(double factor, const T* __restrict values, Index count, double* __restrict sums) {
  for (Index index = 0; index < count; ++index) sums[index] += factor * static_cast<double>(values[index]);
}

template void addScaled(double, const float*, Index, double*);
template void addScaled(double, const double*, Index, double*);

}  // namespace cross_attention::linalg
