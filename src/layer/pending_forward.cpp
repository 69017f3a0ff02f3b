#include "layer/pending_forward.hpp"

namespace cross_attention::layer {

template <class T>
DiffusionCrossAttention<T>::PendingForward::PendingForward(DiffusionCrossAttention& layer,
                                                           std::unique_ptr<ForwardPass<T>> pass,
                                                           std::uint64_t call)
    : layer_(layer),
      pass_(pass.get()),
      call_(call),
      work_(std::make_unique<PendingWork>(std::make_unique<Work>(std::move(pass)))) {}

template <class T>
bool DiffusionCrossAttention<T>::PendingForward::runInBackground(std::function<void()> done) {
  return work_->runInBackground(std::move(done));
}

template <class T>
bool DiffusionCrossAttention<T>::PendingForward::advance(double milliseconds) {
  return !work_ || work_->advance(milliseconds);
}

template <class T>
void DiffusionCrossAttention<T>::PendingForward::finish() {
  if (!work_) return;
  work_->finish();
  failure_ = work_->failure();
  if (!failure_) {
    layer_.commit(*pass_, call_, work_->milliseconds());
    output_ = pass_->output();
  }
  // Frees the memory of the pass, even if this object lives longer.
  work_.reset();
}

template <class T>
Tensor<T> DiffusionCrossAttention<T>::PendingForward::result() {
  finish();
  if (failure_) std::rethrow_exception(failure_);
  return *output_;
}

template class DiffusionCrossAttention<float>::PendingForward;
template class DiffusionCrossAttention<double>::PendingForward;

}  // namespace cross_attention::layer
