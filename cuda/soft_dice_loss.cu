// soft_dice_loss and its gradient: the sums of each image and class in two stages, then their ratios.
#include "cuda/kernel.cuh"
#include "tensor/kernels.h"
#include "tensor/op_attrs.h"

namespace querent::cuda {

// A and B of tensor/ops/soft_dice_loss.cpp for each image and class: [N*C, 2]. Reads p and t once.
Tensor dice_sums(std::string_view op, const Call& c) {
  const Tensor& x = c.in[0];
  const Columns s{x.dim(0), x.numel() / x.dim(0) / x.dim(-1), x.dim(-1)};
  const float *p = input(c, 0), *t = input(c, 1);
  const double smooth = c.attrs.as<DiceAttrs>().smooth;
  const Tensor sums = scratch(c, 2 * s.count(), DType::f64);
  double* const of = sums.data<double>();
  reduce<2>(
      op, c, s,
      [=] __device__(int64_t i, int64_t, int64_t, double* sum) {
        sum[0] += static_cast<double>(p[i]) * t[i];
        sum[1] += static_cast<double>(p[i]) + t[i];
      },
      [=] __device__(int64_t column, const double* sum) {
        of[2 * column] = 2 * sum[0] + smooth;
        of[2 * column + 1] = sum[1] + smooth;
      });
  return sums;
}

void soft_dice_loss(const Call& c) {
  const Tensor sums = dice_sums("soft_dice_loss", c);
  const double* of = sums.data<double>();
  const int64_t ratios = sums.numel() / 2;
  float* loss = c.out[0].data<float>();
  reduce_all<1>(
      "soft_dice_loss", c, ratios,
      [=] __device__(int64_t i, int64_t, int64_t, double* sum) { *sum += 1 - of[2 * i] / of[2 * i + 1]; },
      [=] __device__(int64_t, const double* sum) { *loss = static_cast<float>(*sum / static_cast<double>(ratios)); });
}

// Reads p once and t twice, writes dp.
void soft_dice_loss_grad(const Call& c) {
  const Tensor sums = dice_sums("soft_dice_loss_grad", c);
  const double* of = sums.data<double>();
  const float* dloss = input(c, 2);
  const int64_t channels = c.in[0].dim(-1), image = c.in[0].numel() / c.in[0].dim(0);
  const double ratios = static_cast<double>(sums.numel() / 2);
  elementwise(
      "soft_dice_loss_grad", c, c.in[0].numel(),
      [=] __device__(int64_t i, float& dp, float t) {
        const int64_t column = split(i, image).quotient * channels + split(i, channels).rest;
        const double a = of[2 * column], b = of[2 * column + 1];
        dp = static_cast<float>(-*dloss / ratios * (2 * t * b - a) / (b * b));
      },
      result(c), input(c, 1));
}

}  // namespace querent::cuda
