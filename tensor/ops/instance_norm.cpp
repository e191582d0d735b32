// Instance normalisation (Ulyanov et al. 2016): each channel of each image by its own mean and biased variance.
//   y[n,*,c] = gamma[c] h[n,*,c] + beta[c],   h[n,*,c] = (x[n,*,c] - m[n,c]) / sqrt(v[n,c] + eps)
//   instance_norm_grad: dbeta = sum_n,* dy, dgamma = sum_n,* dy h,
//                       dx = gamma / sqrt(v+eps) (dy - sum_*(dy)/P - h sum_*(dy h)/P),  P = H*W
// x, y [N,*,C]   gamma, beta [C] or none (1 and 0)   m, v [N,C]; f32 where x is bf16
#include <cmath>

#include "tensor/kernels.h"
#include "tensor/ops.h"
#include "tensor/ops/checks.h"
#include "tensor/run.h"
#include "tensor/visit.h"

namespace querent {

extern const Op instance_norm_grad_op;

namespace {

// Of scales and statistics.
DType statistics_type(const Tensor& x) { return x.dtype() == DType::bf16 ? DType::f32 : x.dtype(); }

void check_x(const Tensor& x, const Attrs& attrs) {
  check(x.rank() >= 3 && x.numel() > 0, "instance_norm: x must be [N,*,C], not empty; x={}", x);
  check(attrs.as<NormAttrs>().eps > 0, "instance_norm: eps must be positive, got {}", attrs.as<NormAttrs>().eps);
}

std::vector<TensorSpec> infer(Inputs in, const Attrs& attrs) {
  const Tensor& x = in[0];
  check_x(x, attrs);
  check_channels("instance_norm", "gamma", in[1], x);
  check_channels("instance_norm", "beta", in[2], x);
  const TensorSpec statistics{{x.dim(0), x.dim(-1)}, statistics_type(x)};
  return {{x.shape(), x.dtype()}, statistics, statistics};
}
Cost cost(Inputs in, const Attrs&) {
  const double n = static_cast<double>(in[0].numel()), stats = static_cast<double>(in[0].dim(0) * in[0].dim(-1));
  return {6 * n + 4 * stats,
          traffic(in) + n * dtype_size(in[0].dtype()) + 2 * stats * dtype_size(statistics_type(in[0]))};
}
void ref(const Call& c) {
  const double eps = c.attrs.as<NormAttrs>().eps;
  const Tensor& x = c.in[0];
  const int64_t images = x.dim(0), channels = x.dim(-1), pixels = x.numel() / images / channels;
  visit_float(x.dtype(), [&]<class T>() {
    for (int64_t n = 0; n < images; ++n) {
      for (int64_t k = 0; k < channels; ++k) {
        const T* px = x.data<T>() + n * pixels * channels + k;
        T* py = c.out[0].data<T>() + n * pixels * channels + k;
        double m = 0, v = 0;
        for (int64_t p = 0; p < pixels; ++p) m += static_cast<double>(px[p * channels]);
        m /= static_cast<double>(pixels);
        for (int64_t p = 0; p < pixels; ++p) {
          const double d = static_cast<double>(px[p * channels]) - m;
          v += d * d;
        }
        v /= static_cast<double>(pixels);
        c.out[1].data<T>()[n * channels + k] = static_cast<T>(m);
        c.out[2].data<T>()[n * channels + k] = static_cast<T>(v);
        const double gamma = c.in[1] ? static_cast<double>(c.in[1].data<T>()[k]) : 1;
        const double beta = c.in[2] ? static_cast<double>(c.in[2].data<T>()[k]) : 0;
        for (int64_t p = 0; p < pixels; ++p) {
          py[p * channels] =
              static_cast<T>(gamma * (static_cast<double>(px[p * channels]) - m) / std::sqrt(v + eps) + beta);
        }
      }
    }
  });
}
Tensors grad(const GradCall& g) {
  if (!g.dy[0]) return Tensors(3);  // the statistics are outputs to look at; nothing flows through them
  return run(instance_norm_grad_op, {g.in[0], g.in[1], g.dy[0], g.out[1], g.out[2]}, g.attrs);
}

std::vector<TensorSpec> infer_grad(Inputs in, const Attrs& attrs) {
  const Tensor& x = in[0];
  check_x(x, attrs);
  check_channels("instance_norm", "gamma", in[1], x);
  check_same_shape("instance_norm", "dy", in[2], "x", x);
  const Shape statistics{x.dim(0), x.dim(-1)};
  check(in[3].shape() == statistics && in[4].shape() == statistics,
        "instance_norm: mean and var must be [N,C]; x={} mean={} var={}", x, in[3], in[4]);
  const TensorSpec of_channels{{x.dim(-1)}, in[3].dtype()};
  return {{x.shape(), x.dtype()}, of_channels, of_channels};
}
Cost cost_grad(Inputs in, const Attrs&) {
  const double n = static_cast<double>(in[0].numel()), c = static_cast<double>(in[0].dim(-1));
  return {10 * n + 6 * c * static_cast<double>(in[0].dim(0)),
          traffic(in) + n * dtype_size(in[0].dtype()) + 2 * c * dtype_size(in[3].dtype())};
}
void ref_grad(const Call& c) {
  const double eps = c.attrs.as<NormAttrs>().eps;
  const Tensor& x = c.in[0];
  const int64_t images = x.dim(0), channels = x.dim(-1), pixels = x.numel() / images / channels;
  visit_float(x.dtype(), [&]<class T>() {
    for (int64_t k = 0; k < channels; ++k) {
      const double gamma = c.in[1] ? static_cast<double>(c.in[1].data<T>()[k]) : 1;
      double dgamma = 0, dbeta = 0;
      for (int64_t n = 0; n < images; ++n) {
        const T* px = x.data<T>() + n * pixels * channels + k;
        const T* dy = c.in[2].data<T>() + n * pixels * channels + k;
        T* dx = c.out[0].data<T>() + n * pixels * channels + k;
        const double m = static_cast<double>(c.in[3].data<T>()[n * channels + k]);
        const double scale = 1 / std::sqrt(static_cast<double>(c.in[4].data<T>()[n * channels + k]) + eps);
        const auto h = [&](int64_t p) { return (static_cast<double>(px[p * channels]) - m) * scale; };
        double sum_dy = 0, sum_dy_h = 0;
        for (int64_t p = 0; p < pixels; ++p) {
          sum_dy += static_cast<double>(dy[p * channels]);
          sum_dy_h += static_cast<double>(dy[p * channels]) * h(p);
        }
        for (int64_t p = 0; p < pixels; ++p) {
          const double through_statistics = (sum_dy + h(p) * sum_dy_h) / static_cast<double>(pixels);
          dx[p * channels] =
              static_cast<T>(gamma * scale * (static_cast<double>(dy[p * channels]) - through_statistics));
        }
        dgamma += sum_dy_h;
        dbeta += sum_dy;
      }
      c.out[1].data<T>()[k] = static_cast<T>(dgamma);
      c.out[2].data<T>()[k] = static_cast<T>(dbeta);
    }
  });
}

std::vector<Case> cases() {
  const Sample none{{}, Sample::none};
  return {
      {"affine", {{{2, 3, 5, 7}}, {{7}}, {{7}}}, NormAttrs{}},
      {"plain", {{{3, 5, 3, 3}}, none, none}, NormAttrs{}},
      {"gamma alone", {{{1, 4, 4, 5}}, {{5}}, none}, NormAttrs{.eps = 0.1}},
      {"far from zero", {{{2, 4, 4, 3}, Sample::normal, 1, 10}, none, none}, NormAttrs{}},
      {"sequence", {{{2, 9, 67}}, {{67}}, {{67}}}, NormAttrs{}},
      {"rank", {{{3, 5}}, none, none}, NormAttrs{}, "x must be [N,*,C]"},
      {"gamma", {{{2, 3, 5, 7}}, {{5}}, {{7}}}, NormAttrs{}, "gamma must be [C] with C=7"},
      {"beta", {{{2, 3, 5, 7}}, {{7}}, {{5}}}, NormAttrs{}, "beta must be [C] with C=7"},
      {"eps", {{{2, 3, 5, 7}}, none, none}, NormAttrs{.eps = -1}, "eps must be positive"},
  };
}
std::vector<Case> cases_grad() {
  const Sample none{{}, Sample::none};
  const auto var = [](Shape s) { return Sample{s, Sample::uniform, 1.0, 0.5}; };
  return {
      {"affine", {{{2, 3, 5, 7}}, {{7}}, {{2, 3, 5, 7}}, {{2, 7}}, var({2, 7})}, NormAttrs{}},
      {"plain", {{{3, 5, 3, 3}}, none, {{3, 5, 3, 3}}, {{3, 3}}, var({3, 3})}, NormAttrs{}},
      {"sequence", {{{2, 9, 67}}, {{67}}, {{2, 9, 67}}, {{2, 67}}, var({2, 67})}, NormAttrs{.eps = 0.01}},
      {"dy", {{{2, 3, 5}}, none, {{2, 5, 3}}, {{2, 5}}, var({2, 5})}, NormAttrs{}, "dy must have the shape of x"},
      {"var", {{{2, 3, 5}}, none, {{2, 3, 5}}, {{2, 5}}, var({5})}, NormAttrs{}, "mean and var must be [N,C]"},
  };
}

}  // namespace

extern constinit const Op instance_norm_op{
    .name = "instance_norm",
    .formula = "y[n,*,c] = gamma[c] (x[n,*,c] - mean[n,c]) / sqrt(var[n,c] + eps) + beta[c]",
    .inputs = {{"x", "[N,*,C]"},
               {"gamma", "[C]", Arg::optional | Arg::wide},
               {"beta", "[C]", Arg::optional | Arg::wide}},
    .outputs = {{"y", "[N,*,C]"}, {"mean", "[N,C]"}, {"var", "[N,C]"}},
    .infer = infer,
    .cost = cost,
    .grad = grad,
    .keep = {"x", "gamma", "mean", "var"},
    .kernel = {.ref = ref, .cpu = nullptr, .cuda = cuda::instance_norm},
    .cases = cases};
extern constinit const Op instance_norm_grad_op{
    .name = "instance_norm_grad",
    .formula = "dx = gamma/sqrt(var+eps) (dy - sum(dy)/P - h sum(dy h)/P) per image and channel",
    .inputs = {{"x", "[N,*,C]"},
               {"gamma", "[C]", Arg::optional | Arg::wide},
               {"dy", "[N,*,C]"},
               {"mean", "[N,C]", Arg::wide},
               {"var", "[N,C]", Arg::wide}},
    .outputs = {{"dx", "[N,*,C]"}, {"dgamma", "[C]"}, {"dbeta", "[C]"}},
    .infer = infer_grad,
    .cost = cost_grad,
    .grad = no_gradient,
    .keep = {},
    .kernel = {.ref = ref_grad, .cpu = nullptr, .cuda = cuda::instance_norm_grad},
    .cases = cases_grad};

NormResult instance_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, const NormAttrs& a) {
  const Tensors r = run(instance_norm_op, {x, gamma, beta}, a);
  return {r[0], r[1], r[2]};
}

}  // namespace querent
