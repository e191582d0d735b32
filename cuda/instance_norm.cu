// Instance normalisation: as batch_norm.cu, with statistics of each image.
#include "cuda/kernel.cuh"
#include "cuda/norm.cuh"
#include "tensor/kernels.h"
#include "tensor/op_attrs.h"

namespace querent::cuda {
namespace {

Columns columns_per_image(const Tensor& x) { return {x.dim(0), x.numel() / x.dim(0) / x.dim(-1), x.dim(-1)}; }

}  // namespace

// Reads x twice, writes y.
void instance_norm(const Call& c) {
  const Values x = values(c, 0);
  const float *gamma = input(c, 1), *beta = input(c, 2);
  float *mean = c.out[1].data<float>(), *var = c.out[2].data<float>();
  const Columns s = columns_per_image(c.in[0]);
  const double rows = static_cast<double>(s.rows);
  const int64_t channels = s.channels;
  const auto eps = static_cast<float>(c.attrs.as<NormAttrs>().eps);
  reduce<2>(
      "instance_norm", c, s,
      [=] __device__(int64_t, int64_t, int64_t, double* sum, double v) {
        sum[0] += v;
        sum[1] += v * v;
      },
      [=] __device__(int64_t column, const double* sum) {
        const double m = sum[0] / rows, v = sum[1] / rows - m * m;
        mean[column] = static_cast<float>(m);
        var[column] = static_cast<float>(v < 0 ? 0 : v);  // NaN stays
      },
      x);
  channelwise<Scaling>(
      "instance_norm", c, s,
      [=] __device__(int64_t column, Scaling& of) {
        const int64_t k = split(column, channels).rest;
        of = {mean[column], (gamma ? gamma[k] : 1) / sqrtf(var[column] + eps), beta ? beta[k] : 0};
      },
      [=] __device__(const Scaling& of, int64_t, float& y, float value) {
        y = fmaf(value - of.mean, of.factor, of.offset);
      },
      results(c), x);
}

// Reads x and dy twice, writes dx; dgamma and dbeta add up the sums of each image.
void instance_norm_grad(const Call& c) {
  const Values x = values(c, 0), dy = values(c, 2);
  const float *gamma = input(c, 1), *mean = input(c, 3), *var = input(c, 4);
  const Columns s = columns_per_image(c.in[0]);
  const int64_t channels = s.channels;
  const double eps = c.attrs.as<NormAttrs>().eps;
  const Tensor sums = scratch(c, 2 * s.count(), DType::f64);  // sum dy, sum dy h
  double* const of = sums.data<double>();
  reduce<2>(
      "instance_norm_grad", c, s,
      [=] __device__(int64_t, int64_t column, int64_t, double* sum, float value, float slope) {
        sum[0] += slope;
        sum[1] += static_cast<double>(slope) * (value - mean[column]);
      },
      [=] __device__(int64_t column, const double* sum) {
        of[2 * column] = sum[0];
        of[2 * column + 1] = sum[1] / ::sqrt(static_cast<double>(var[column]) + eps);
      },
      x, dy);
  const float per_row = static_cast<float>(1.0 / static_cast<double>(s.rows));
  channelwise<Slope>(
      "instance_norm_grad", c, s,
      [=] __device__(int64_t column, Slope& slope) {
        const float scale = 1 / sqrtf(var[column] + static_cast<float>(eps));
        const auto sum_dy = static_cast<float>(of[2 * column]), sum_dy_h = static_cast<float>(of[2 * column + 1]);
        const float weight = gamma ? gamma[split(column, channels).rest] : 1;
        slope = {mean[column], weight * scale, sum_dy * per_row, sum_dy_h * scale * per_row};
      },
      [=] __device__(const Slope& s, int64_t, float& dx, float value, float slope) {
        dx = s.factor * fmaf(s.mean - value, s.through_var, slope - s.mean_dy);
      },
      results(c), x, dy);
  float *dgamma = c.out[1].data<float>(), *dbeta = c.out[2].data<float>();
  reduce<2>(
      "instance_norm_grad", c, {1, s.groups, channels},
      [=] __device__(int64_t column, int64_t, int64_t, double* sum) {
        sum[0] += of[2 * column];
        sum[1] += of[2 * column + 1];
      },
      [=] __device__(int64_t k, const double* sum) {
        dbeta[k] = static_cast<float>(sum[0]);
        dgamma[k] = static_cast<float>(sum[1]);
      });
}

}  // namespace querent::cuda
