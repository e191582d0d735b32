// Batch normalisation: statistics by two-stage sums in double, then one pass over x. A ReLU behind it, and what a
// residual block adds before that, cost no pass of their own: forward they are applied before y is stored, backward dy
// counts only where y > 0. Multiply and add are fused where it says fmaf or fma, so that a kernel has the same bits with
// and without them. Tuning may put cuDNN in their place (batch_norm_plan.cpp).
#include "cuda/batch_norm.h"
#include "cuda/kernel.cuh"
#include "cuda/norm.cuh"
#include "tensor/kernels.h"
#include "tensor/op_attrs.h"
#include "tensor/ops/pointwise.h"

namespace querent::cuda {
namespace {

Columns columns_of(const Tensor& x) { return {1, x.numel() / x.dim(-1), x.dim(-1)}; }
MaybeValues maybe(const Call& c, size_t i) { return {i < c.in.size() ? values(c, i) : Values{}}; }

}  // namespace

// Reads x and the residual that is added if any, writes y. In bf16 each step is rounded, as ops of their own would do.
void normalise(std::string_view op, const Call& c, const float* mean, const float* var, bool relu, MaybeValues residual) {
  const float *gamma = input(c, 1), *beta = input(c, 2);
  const auto eps = static_cast<float>(c.attrs.as<NormAttrs>().eps);
  const Results y = results(c);
  const bool adds = static_cast<bool>(residual.values);
  channelwise<Scaling>(
      op, c, columns_of(c.in[0]),
      [=] __device__(int64_t k, Scaling& s) { s = {mean[k], gamma[k] / sqrtf(var[k] + eps), beta[k]}; },
      [=] __device__(const Scaling& s, int64_t, float& out, float x, float z) {
        out = fmaf(x - s.mean, s.factor, s.offset);
        if (adds) out = y.rounded(out) + z;
        if (relu) out = pointwise::Relu{}.f(y.rounded(out));
      },
      y, values(c, 0), residual);
}

// Reads x twice, writes y.
void train_and_normalise(std::string_view op, const Call& c, bool relu, MaybeValues residual) {
  float *mean = c.out[1].data<float>(), *var = c.out[2].data<float>();
  const Columns s = columns_of(c.in[0]);
  const double rows = static_cast<double>(s.rows);
  reduce<2>(
      op, c, s,
      [=] __device__(int64_t, int64_t, int64_t, double* sum, double v) {
        sum[0] += v;
        sum[1] = ::fma(v, v, sum[1]);
      },
      [=] __device__(int64_t k, const double* sum) {
        const double m = sum[0] / rows, v = sum[1] / rows - m * m;
        mean[k] = static_cast<float>(m);
        var[k] = static_cast<float>(v < 0 ? 0 : v);  // NaN stays
      },
      values(c, 0));
  normalise(op, c, mean, var, relu, residual);
}
void own_norm_train(const Call& c) { train_and_normalise("batch_norm_train", c, false, {}); }
void own_norm_relu(const Call& c) { train_and_normalise("batch_norm_relu", c, true, maybe(c, 3)); }
void batch_norm_eval(const Call& c) { normalise("batch_norm_eval", c, input(c, 3), input(c, 4), false, {}); }

// Reads x and dy twice, and y where a ReLU followed, writes dx.
void batch_norm_gradient(std::string_view op, const Call& c, bool batch_statistics) {
  const Values x = values(c, 0), dy = values(c, 2);
  const MaybeValues y = maybe(c, 5);
  const bool masks = static_cast<bool>(y.values);
  const float *gamma = input(c, 1), *mean = input(c, 3), *var = input(c, 4);
  float *dgamma = c.out[1].data<float>(), *dbeta = c.out[2].data<float>();
  const Columns s = columns_of(c.in[0]);
  const double eps = c.attrs.as<NormAttrs>().eps;
  reduce<2>(
      op, c, s,
      [=] __device__(int64_t, int64_t k, int64_t, double* sum, float value, float slope, float passed) {
        const double d = masks && !(passed > 0) ? 0 : slope;
        sum[0] += d;
        sum[1] = ::fma(d, static_cast<double>(value - mean[k]), sum[1]);
      },
      [=] __device__(int64_t k, const double* sum) {
        dbeta[k] = static_cast<float>(sum[0]);
        dgamma[k] = static_cast<float>(sum[1] / ::sqrt(static_cast<double>(var[k]) + eps));
      },
      x, dy, y);
  const float per_row = batch_statistics ? static_cast<float>(1.0 / static_cast<double>(s.rows)) : 0;
  channelwise<Slope>(
      op, c, s,
      [=] __device__(int64_t k, Slope& of) {
        const float scale = 1 / sqrtf(var[k] + static_cast<float>(eps));
        of = {mean[k], gamma[k] * scale, dbeta[k] * per_row, dgamma[k] * scale * per_row};
      },
      [=] __device__(const Slope& of, int64_t, float& dx, float value, float slope, float passed) {
        const float d = masks && !(passed > 0) ? 0 : slope;
        dx = of.factor * fmaf(of.mean - value, of.through_var, d - of.mean_dy);
      },
      results(c), x, dy, y);
}
void own_norm_grad(const Call& c) { batch_norm_gradient("batch_norm_grad", c, true); }
void batch_norm_eval_grad(const Call& c) { batch_norm_gradient("batch_norm_eval_grad", c, false); }

// ---- what cuDNN keeps and reads in place of var and y

void inverse_std_of(const Call& c, const Tensor& var, const Tensor& inv_std) {
  const float* from = var.data<float>();
  float* to = inv_std.data<float>();
  const double eps = c.attrs.as<NormAttrs>().eps;
  for_each("batch_norm", c, var.numel(), [=] __device__(int64_t k) {
    to[k] = static_cast<float>(1 / ::sqrt(static_cast<double>(from[k]) + eps));
  });
}
void variance_of(const Call& c, const Tensor& inv_std, const Tensor& var) {
  const float* from = inv_std.data<float>();
  float* to = var.data<float>();
  const double eps = c.attrs.as<NormAttrs>().eps;
  for_each("batch_norm", c, var.numel(), [=] __device__(int64_t k) {
    const double inverse = from[k], v = 1 / (inverse * inverse) - eps;
    to[k] = static_cast<float>(v < 0 ? 0 : v);  // NaN stays
  });
}
void positive_bits(const Call& c, const Tensor& y, const Tensor& bits) {
  const Values from{y.raw(), is_half(y)};
  uint8_t* to = bits.data<uint8_t>();
  const int64_t n = y.numel();
  for_each("batch_norm", c, bits.numel(), [=] __device__(int64_t i) {
    unsigned byte = 0;
    for (int64_t k = 0; k < 8 && 8 * i + k < n; ++k) byte |= (from[8 * i + k] > 0 ? 1u : 0u) << k;
    to[i] = static_cast<uint8_t>(byte);
  });
}

}  // namespace querent::cuda
