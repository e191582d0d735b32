// gaussian_nll and its gradients: one pass over three inputs.
#include "cuda/kernel.cuh"
#include "tensor/kernels.h"

namespace querent::cuda {

void gaussian_nll(const Call& c) {
  const float *mean = input(c, 0), *log_var = input(c, 1), *target = input(c, 2);
  const int64_t n = c.in[0].numel();
  float* loss = c.out[0].data<float>();
  reduce_all<1>(
      "gaussian_nll", c, n,
      [=] __device__(int64_t i, int64_t, int64_t, double* sum) {
        const float d = target[i] - mean[i];
        *sum += 0.5f * expf(-log_var[i]) * d * d + 0.5f * log_var[i];
      },
      [=] __device__(int64_t, const double* sum) { *loss = static_cast<float>(*sum / static_cast<double>(n)); });
}

void gaussian_nll_grad(const Call& c) {
  const float* dloss = input(c, 3);
  const auto n = static_cast<float>(c.in[0].numel());
  elementwise(
      "gaussian_nll_grad", c, c.in[0].numel(),
      [=] __device__(int64_t, float& dmean, float& dlog_var, float mean, float log_var, float target) {
        const float factor = *dloss / n, precision = expf(-log_var), d = target - mean;
        dmean = -factor * precision * d;
        dlog_var = factor * 0.5f * (1 - precision * d * d);
      },
      result(c, 0), result(c, 1), input(c, 0), input(c, 1), input(c, 2));
}

}  // namespace querent::cuda
