// update_running_stats: one thread for each channel.
#include "cuda/kernel.cuh"
#include "tensor/kernels.h"
#include "tensor/op_attrs.h"

namespace querent::cuda {

void update_running_stats(const Call& c) {
  const auto a = c.attrs.as<RunningStatsAttrs>();
  const auto momentum = static_cast<float>(a.momentum);
  const auto unbias = static_cast<float>(static_cast<double>(a.count) / static_cast<double>(a.count - 1));
  float *running_mean = c.in[0].data<float>(), *running_var = c.in[1].data<float>();
  const float *mean = input(c, 2), *var = input(c, 3);
  int64_t* batches = c.in[4] ? c.in[4].data<int64_t>() : nullptr;
  for_each("update_running_stats", c, c.in[0].numel(), [=] __device__(int64_t k) {
    running_mean[k] = (1 - momentum) * running_mean[k] + momentum * mean[k];
    running_var[k] = (1 - momentum) * running_var[k] + momentum * var[k] * unbias;
    if (k == 0 && batches) ++*batches;
  });
}

}  // namespace querent::cuda
