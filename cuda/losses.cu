// Losses that are a mean over elements, and their gradients. A loss reads its inputs once and sums in two stages; a
// gradient reads them once and writes one result.
#include "cuda/kernel.cuh"
#include "tensor/kernels.h"
#include "tensor/ops/pointwise.h"

namespace querent::cuda {

// loss = (1/n) sum f(i)
template <class F>
void mean_loss(std::string_view op, const Call& c, F f) {
  const int64_t n = c.in[0].numel();
  float* loss = c.out[0].data<float>();
  reduce_all<1>(
      op, c, n, [=] __device__(int64_t i, int64_t, int64_t, double* sum) { *sum += f(i); },
      [=] __device__(int64_t, const double* sum) { *loss = static_cast<float>(*sum / static_cast<double>(n)); });
}

void bce_with_logits(const Call& c) {
  const float *z = input(c, 0), *target = input(c, 1), *weight = input(c, 2);
  mean_loss("bce_with_logits", c, [=] __device__(int64_t i) {
    const float loss = fmaxf(z[i], 0) - z[i] * target[i] + log1pf(expf(-fabsf(z[i])));
    return weight ? weight[i] * loss : loss;
  });
}
void bce_with_logits_grad(const Call& c) {
  const float *weight = input(c, 2), *dloss = input(c, 3);
  const auto n = static_cast<float>(c.in[0].numel());
  elementwise(
      "bce_with_logits_grad", c, c.in[0].numel(),
      [=] __device__(int64_t i, float& dz, float z, float target) {
        dz = *dloss / n * (weight ? weight[i] : 1) * (pointwise::Sigmoid{}.f(z) - target);
      },
      result(c), input(c, 0), input(c, 1));
}

void l1_loss(const Call& c) {
  const float *a = input(c, 0), *b = input(c, 1);
  mean_loss("l1_loss", c, [=] __device__(int64_t i) { return fabsf(a[i] - b[i]); });
}
void l1_loss_grad(const Call& c) {
  const float* dloss = input(c, 2);
  const auto n = static_cast<float>(c.in[0].numel());
  elementwise(
      "l1_loss_grad", c, c.in[0].numel(),
      [=] __device__(int64_t, float& da, float a, float b) { da = *dloss / n * static_cast<float>((a > b) - (a < b)); },
      result(c), input(c, 0), input(c, 1));
}

void mse_loss(const Call& c) {
  const float *a = input(c, 0), *b = input(c, 1);
  mean_loss("mse_loss", c, [=] __device__(int64_t i) { return (a[i] - b[i]) * (a[i] - b[i]); });
}
void mse_loss_grad(const Call& c) {
  const float* dloss = input(c, 2);
  const auto n = static_cast<float>(c.in[0].numel());
  elementwise(
      "mse_loss_grad", c, c.in[0].numel(),
      [=] __device__(int64_t, float& da, float a, float b) { da = *dloss / n * 2 * (a - b); }, result(c), input(c, 0),
      input(c, 1));
}

}  // namespace querent::cuda
