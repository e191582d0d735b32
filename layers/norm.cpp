#include "layers/norm.h"

namespace querent {

BatchNorm2d::BatchNorm2d(const Scope& scope, int64_t channels) {
  weight = scope.parameter("weight", {channels}, Init::ones());
  bias = scope.parameter("bias", {channels}, Init::zeros());
  running_mean = scope.buffer("running_mean", {channels}, 0, scope.dtype());
  running_var = scope.buffer("running_var", {channels}, 1, scope.dtype());
  batches = scope.buffer("num_batches_tracked", {}, 0, DType::i64, true);
}

Tensor BatchNorm2d::operator()(const Tensor& x, const Pass& pass) const {
  if (!pass.batch_statistics(weight)) return batch_norm_eval(x, weight, bias, running_mean, running_var);
  const int64_t count = x.numel() / x.dim(-1);
  check(count > 1,
        "batch_norm: '{}' sees one value per channel (x={}) and cannot be trained on it; use a larger batch or image",
        weight.name(), x);
  const NormResult r = batch_norm_train(x, weight, bias);
  update_running_stats(running_mean, running_var, r.mean, r.var, {.momentum = momentum, .count = count}, batches);
  return r.y;
}

}  // namespace querent
