#include "layers/norm.h"

#include "layers/precision.h"
#include "tensor/collective.h"

namespace querent {
namespace {

// By the statistics of the batches of all ranks; the rows of ops that are differentiable add up its gradient.
NormResult batch_norm_over_ranks(const Tensor& batch, const Tensor& weight, const Tensor& bias) {
  const Tensor x = leaves(batch);  // in f32 throughout, as the kernel does it
  Shape axes;
  for (int64_t i = 0; i + 1 < x.rank(); ++i) axes.push_back(i);
  const Tensor average = rank_mean(mean(x, axes)), centred = sub(x, average);
  const Tensor var = rank_mean(mean(square(centred), axes));
  const Tensor normal = div(centred, sqrt(scale(var, 1, NormAttrs{}.eps)));
  return {cast(add(mul(normal, weight), bias), batch.dtype()), average, var};
}

}  // namespace

BatchNorm2d::BatchNorm2d(const Scope& scope, int64_t channels) {
  weight = scope.parameter("weight", {channels}, Init::ones());
  bias = scope.parameter("bias", {channels}, Init::zeros());
  running_mean = scope.buffer("running_mean", {channels}, 0, scope.dtype());
  running_var = scope.buffer("running_var", {channels}, 1, scope.dtype());
  batches = scope.buffer("num_batches_tracked", {}, 0, DType::i64, true);
}

Tensor BatchNorm2d::operator()(const Tensor& x, const Pass& pass) const {
  if (!pass.batch_statistics(weight)) return batch_norm_eval(x, weight, bias, running_mean, running_var);
  const int64_t ranks = collective().size, count = ranks * (x.numel() / x.dim(-1));
  check(count > 1,
        "batch_norm: '{}' sees one value per channel (x={}) and cannot be trained on it; use a larger batch or image",
        weight.name(), x);
  const NormResult r = ranks > 1 ? batch_norm_over_ranks(x, weight, bias) : batch_norm_train(x, weight, bias);
  update_running_stats(running_mean, running_var, r.mean, r.var, {.momentum = momentum, .count = count}, batches);
  return r.y;
}

}  // namespace querent
