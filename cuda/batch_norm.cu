// Batch normalisation: statistics by two-stage sums in double, then one pass over x.
#include "cuda/kernel.cuh"
#include "tensor/kernels.h"
#include "tensor/op_attrs.h"

namespace querent::cuda {
namespace {

Columns columns_of(const Tensor& x) { return {1, x.numel() / x.dim(-1), x.dim(-1)}; }

}  // namespace

// Reads x, writes y; the [C] values come from the cache.
void normalise(std::string_view op, const Call& c, const float* mean, const float* var) {
  const float *gamma = input(c, 1), *beta = input(c, 2);
  const int64_t channels = c.in[0].dim(-1);
  const auto eps = static_cast<float>(c.attrs.as<NormAttrs>().eps);
  elementwise(
      op, c, c.in[0].numel(),
      [=] __device__(int64_t i, float& y, float x) {
        const int64_t k = split(i, channels).rest;
        y = gamma[k] * ((x - mean[k]) / sqrtf(var[k] + eps)) + beta[k];
      },
      results(c), values(c, 0));
}

// Reads x twice, writes y.
void batch_norm_train(const Call& c) {
  const Values x = values(c, 0);
  float *mean = c.out[1].data<float>(), *var = c.out[2].data<float>();
  const Columns s = columns_of(c.in[0]);
  const double rows = static_cast<double>(s.rows);
  reduce<2>(
      "batch_norm_train", c, s,
      [=] __device__(int64_t i, int64_t, int64_t, double* sum) {
        const double v = x[i];
        sum[0] += v;
        sum[1] += v * v;
      },
      [=] __device__(int64_t k, const double* sum) {
        const double m = sum[0] / rows, v = sum[1] / rows - m * m;
        mean[k] = static_cast<float>(m);
        var[k] = static_cast<float>(v > 0 ? v : 0);
      });
  normalise("batch_norm_train", c, mean, var);
}

void batch_norm_eval(const Call& c) { normalise("batch_norm_eval", c, input(c, 3), input(c, 4)); }

// Reads x and dy twice, and y where a ReLU followed, writes dx.
void batch_norm_gradient(std::string_view op, const Call& c, bool batch_statistics) {
  const Values x = values(c, 0), dy = values(c, 2), y = c.in.size() > 5 ? values(c, 5) : Values{};
  const float *gamma = input(c, 1), *mean = input(c, 3), *var = input(c, 4);
  float *dgamma = c.out[1].data<float>(), *dbeta = c.out[2].data<float>();
  const Columns s = columns_of(c.in[0]);
  const int64_t channels = s.channels;
  const double eps = c.attrs.as<NormAttrs>().eps;
  reduce<2>(
      op, c, s,
      [=] __device__(int64_t i, int64_t k, int64_t, double* sum) {
        if (y && !(y[i] > 0)) return;
        sum[0] += dy[i];
        sum[1] += static_cast<double>(dy[i]) * (x[i] - mean[k]);
      },
      [=] __device__(int64_t k, const double* sum) {
        dbeta[k] = static_cast<float>(sum[0]);
        dgamma[k] = static_cast<float>(sum[1] / ::sqrt(static_cast<double>(var[k]) + eps));
      });
  const float per_row = batch_statistics ? static_cast<float>(1.0 / static_cast<double>(s.rows)) : 0;
  elementwise(
      op, c, c.in[0].numel(),
      [=] __device__(int64_t i, float& dx, float value, float slope) {
        const int64_t k = split(i, channels).rest;
        if (y && !(y[i] > 0)) slope = 0;
        const float scale = 1 / sqrtf(var[k] + static_cast<float>(eps)), h = (value - mean[k]) * scale;
        dx = gamma[k] * scale * (slope - (dbeta[k] + h * dgamma[k]) * per_row);
      },
      results(c), x, dy);
}
void batch_norm_grad(const Call& c) { batch_norm_gradient("batch_norm_grad", c, true); }
void batch_norm_eval_grad(const Call& c) { batch_norm_gradient("batch_norm_eval_grad", c, false); }

}  // namespace querent::cuda
