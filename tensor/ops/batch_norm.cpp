// Batch normalisation (Ioffe and Szegedy 2015). Over m[c], v[c], the mean and biased variance of the M = N*H*W values
// of channel c:
//   batch_norm_train: y[*,c] = gamma[c] h[*,c] + beta[c],  h[*,c] = (x[*,c] - m[c]) / sqrt(v[c] + eps)
//   batch_norm_eval:  the same with given m and v (running statistics): no gradient flows to them
//   batch_norm_grad:  dbeta = sum dy, dgamma = sum dy h, dx = gamma / sqrt(v+eps) (dy - dbeta/M - h dgamma/M)
//   batch_norm_relu:  relu of batch_norm_train (+ residual); in its gradient dy counts only where y > 0. Programs put
//                     it in the place of these (fuse.cpp), with the same bits; no network runs it eagerly
// x, y, residual [*,C]   gamma, beta, m, v [C], f32 where x is bf16
// Updating the running statistics is an op of its own (running_stats.cpp), so that a forward pass changes no state.
#include <cmath>

#include "tensor/kernels.h"
#include "tensor/ops.h"
#include "tensor/ops/checks.h"
#include "tensor/run.h"
#include "tensor/visit.h"

namespace querent {

extern const Op batch_norm_grad_op, batch_norm_eval_grad_op, relu_grad_op;

namespace {

void check_x(Inputs in, const Attrs& attrs, std::initializer_list<std::pair<size_t, const char*>> channels) {
  const Tensor& x = in[0];
  check(x.rank() >= 2 && x.numel() > 0, "batch_norm: x must be [*,C], not empty; x={}", x);
  for (const auto& [i, name] : channels) check_channels("batch_norm", name, in[i], x);
  check(attrs.as<NormAttrs>().eps > 0, "batch_norm: eps must be positive, got {}", attrs.as<NormAttrs>().eps);
}

// ---- batch_norm_train (x, gamma, beta) -> y, mean, var

std::vector<TensorSpec> infer_train(Inputs in, const Attrs& attrs) {
  check_x(in, attrs, {{1, "gamma"}, {2, "beta"}});
  const TensorSpec of_channels{{in[0].dim(-1)}, in[1].dtype()};
  return {{in[0].shape(), in[0].dtype()}, of_channels, of_channels};
}
Cost cost_train(Inputs in, const Attrs&) {
  const double n = static_cast<double>(in[0].numel()), c = static_cast<double>(in[0].dim(-1));
  return {6 * n + 4 * c, 2 * n * dtype_size(in[0].dtype()) + 4 * c * dtype_size(in[1].dtype())};
}
void ref_train(const Call& c) {
  const double eps = c.attrs.as<NormAttrs>().eps;
  const int64_t channels = c.in[0].dim(-1), rows = c.in[0].numel() / channels;
  visit_float(c.out[0].dtype(), [&]<class T>() {
    const T *x = c.in[0].data<T>(), *gamma = c.in[1].data<T>(), *beta = c.in[2].data<T>();
    T *y = c.out[0].data<T>(), *mean = c.out[1].data<T>(), *var = c.out[2].data<T>();
    for (int64_t k = 0; k < channels; ++k) {
      double m = 0, v = 0;
      for (int64_t r = 0; r < rows; ++r) m += static_cast<double>(x[r * channels + k]);
      m /= static_cast<double>(rows);
      for (int64_t r = 0; r < rows; ++r) {
        const double d = static_cast<double>(x[r * channels + k]) - m;
        v += d * d;
      }
      v /= static_cast<double>(rows);
      mean[k] = static_cast<T>(m);
      var[k] = static_cast<T>(v);
      const double factor = static_cast<double>(gamma[k]) / std::sqrt(v + eps);
      for (int64_t r = 0; r < rows; ++r)
        y[r * channels + k] = static_cast<T>((static_cast<double>(x[r * channels + k]) - m) * factor + beta[k]);
    }
  });
}
Tensors grad_train(const GradCall& g) {
  if (!g.dy[0]) return Tensors(3);  // the statistics are outputs for the running averages; nothing flows through them
  return run(batch_norm_grad_op, {g.in[0], g.in[1], g.dy[0], g.out[1], g.out[2], {}}, g.attrs);
}

// ---- batch_norm_relu (x, gamma, beta, residual or none) -> y, mean, var

std::vector<TensorSpec> infer_relu(Inputs in, const Attrs& attrs) {
  if (in[3]) check_same_shape("batch_norm", "residual", in[3], "x", in[0]);
  return infer_train(in, attrs);
}
Cost cost_relu(Inputs in, const Attrs& attrs) {
  const Cost c = cost_train(in, attrs);
  return in[3] ? Cost{c.flops + static_cast<double>(in[3].numel()), c.bytes + static_cast<double>(in[3].bytes())} : c;
}
void ref_relu(const Call& c) {
  const Tensor residual = c.in[3] ? c.in[3].clone() : Tensor{};  // y may lie there
  ref_train(c);
  visit_float(c.out[0].dtype(), [&]<class T>() {
    const T* z = residual ? residual.data<T>() : nullptr;
    T* y = c.out[0].data<T>();
    for (int64_t i = 0; i < c.out[0].numel(); ++i) {
      const T sum = z ? y[i] + z[i] : y[i];
      y[i] = sum < 0 ? T(0) : sum;
    }
  });
}
Tensors grad_relu(const GradCall& g) {
  if (!g.dy[0]) return Tensors(4);
  Tensors d = run(batch_norm_grad_op, {g.in[0], g.in[1], g.dy[0], g.out[1], g.out[2], g.out[0]}, g.attrs);
  d.push_back(g.need[3] ? run(relu_grad_op, {g.out[0], g.dy[0]})[0] : Tensor{});
  return d;
}

// ---- batch_norm_grad (x, gamma, dy, mean, var, y or none) -> dx, dgamma, dbeta, and batch_norm_eval_grad with the same
// arguments but y: there mean and var do not depend on x, so the two sums do not enter dx.

std::vector<TensorSpec> infer_grad(Inputs in, const Attrs& attrs) {
  check_x(in, attrs, {{1, "gamma"}, {3, "mean"}, {4, "var"}});
  check_same_shape("batch_norm", "dy", in[2], "x", in[0]);
  if (in.size() > 5 && in[5]) check_same_shape("batch_norm", "y", in[5], "x", in[0]);
  const TensorSpec of_channels{{in[0].dim(-1)}, in[1].dtype()};
  return {{in[0].shape(), in[0].dtype()}, of_channels, of_channels};
}
Cost cost_grad(Inputs in, const Attrs&) {
  const double n = static_cast<double>(in[0].numel()), c = static_cast<double>(in[0].dim(-1));
  const double masked = in.size() > 5 && in[5] ? n : 0;
  return {10 * n + 6 * c + masked, (3 * n + masked) * dtype_size(in[0].dtype()) + 5 * c * dtype_size(in[1].dtype())};
}
template <bool batch_statistics>
void ref_grad(const Call& c) {
  const double eps = c.attrs.as<NormAttrs>().eps;
  const int64_t channels = c.in[0].dim(-1), rows = c.in[0].numel() / channels;
  visit_float(c.out[0].dtype(), [&]<class T>() {
    const T *x = c.in[0].data<T>(), *gamma = c.in[1].data<T>(), *dy = c.in[2].data<T>();
    const T *mean = c.in[3].data<T>(), *var = c.in[4].data<T>();
    const T* y = c.in.size() > 5 && c.in[5] ? c.in[5].data<T>() : nullptr;
    const auto dy_at = [&](int64_t i) { return y && !(y[i] > 0) ? 0.0 : static_cast<double>(dy[i]); };
    T *dx = c.out[0].data<T>(), *dgamma = c.out[1].data<T>(), *dbeta = c.out[2].data<T>();
    for (int64_t k = 0; k < channels; ++k) {
      const double m = static_cast<double>(mean[k]), scale = 1 / std::sqrt(static_cast<double>(var[k]) + eps);
      double sum_dy = 0, sum_dy_h = 0;
      for (int64_t i = k; i < rows * channels; i += channels) {
        sum_dy += dy_at(i);
        sum_dy_h += dy_at(i) * (static_cast<double>(x[i]) - m) * scale;
      }
      dgamma[k] = static_cast<T>(sum_dy_h);
      dbeta[k] = static_cast<T>(sum_dy);
      const double count = static_cast<double>(rows);
      for (int64_t i = k; i < rows * channels; i += channels) {
        const double h = (static_cast<double>(x[i]) - m) * scale;
        const double through_statistics = batch_statistics ? (sum_dy + h * sum_dy_h) / count : 0;
        dx[i] =
            static_cast<T>(static_cast<double>(gamma[k]) * scale * (dy_at(i) - through_statistics));
      }
    }
  });
}

// ---- batch_norm_eval (x, gamma, beta, mean, var) -> y

std::vector<TensorSpec> infer_eval(Inputs in, const Attrs& attrs) {
  check_x(in, attrs, {{1, "gamma"}, {2, "beta"}, {3, "mean"}, {4, "var"}});
  return {{in[0].shape(), in[0].dtype()}};
}
Cost cost_eval(Inputs in, const Attrs&) {
  const double n = static_cast<double>(in[0].numel()), c = static_cast<double>(in[0].dim(-1));
  return {2 * n + 4 * c, 2 * n * dtype_size(in[0].dtype()) + 4 * c * dtype_size(in[1].dtype())};
}
void ref_eval(const Call& c) {
  const double eps = c.attrs.as<NormAttrs>().eps;
  const int64_t channels = c.in[0].dim(-1);
  visit_float(c.out[0].dtype(), [&]<class T>() {
    const T *x = c.in[0].data<T>(), *gamma = c.in[1].data<T>(), *beta = c.in[2].data<T>();
    const T *mean = c.in[3].data<T>(), *var = c.in[4].data<T>();
    T* y = c.out[0].data<T>();
    for (int64_t i = 0; i < c.in[0].numel(); ++i) {
      const int64_t k = i % channels;
      const double h =
          (static_cast<double>(x[i]) - static_cast<double>(mean[k])) / std::sqrt(static_cast<double>(var[k]) + eps);
      y[i] = static_cast<T>(static_cast<double>(gamma[k]) * h + static_cast<double>(beta[k]));
    }
  });
}
Tensors grad_eval(const GradCall& g) {
  Tensors d = run(batch_norm_eval_grad_op, {g.in[0], g.in[1], g.dy[0], g.in[3], g.in[4]}, g.attrs);
  d.resize(5);
  return d;
}

// ---- cases

std::vector<Case> cases_train() {
  return {
      {"image", {{{2, 3, 5, 7}}, {{7}}, {{7}}}, NormAttrs{}},
      {"rows", {{{5, 3}}, {{3}}, {{3}}}, NormAttrs{}},
      {"large eps", {{{4, 3}}, {{3}}, {{3}}}, NormAttrs{.eps = 0.1}},
      {"far from zero", {{{3, 4, 4, 5}, Sample::normal, 1, 10}, {{5}}, {{5}}}, NormAttrs{}},
      {"many channels", {{{2, 3, 3, 67}}, {{67}}, {{67}}}, NormAttrs{}},
      {"one channel", {{{2, 5, 9, 1}}, {{1}}, {{1}}}, NormAttrs{}},
      {"gamma", {{{2, 3, 5, 7}}, {{6}}, {{7}}}, NormAttrs{}, "gamma must be [C] with C=7"},
      {"beta", {{{2, 3, 5, 7}}, {{7}}, {{7, 1}}}, NormAttrs{}, "beta must be [C] with C=7"},
      {"rank", {{{7}}, {{7}}, {{7}}}, NormAttrs{}, "x must be [*,C]"},
      {"eps", {{{3, 7}}, {{7}}, {{7}}}, NormAttrs{.eps = 0}, "eps must be positive"},
  };
}
// With a residual, which is the last input, or without.
std::vector<Case> cases_relu() {
  std::vector<Case> all = cases_train();
  for (Case& c : all) c.in.push_back({{}, Sample::none});
  const std::vector<Case> without = all;
  for (Case c : without) {
    if (!c.throws.empty()) continue;
    c.name += ", residual", c.in[3] = {c.in[0].shape};
    all.push_back(c);
  }
  all.push_back({"residual", {{{5, 3}}, {{3}}, {{3}}, {{3}}}, NormAttrs{}, "residual must have the shape of x"});
  return all;
}
// With a y for batch_norm_grad, whose last input it is.
template <bool batch_statistics>
std::vector<Case> cases_grad() {
  const auto var = [](int64_t c) { return Sample{{c}, Sample::uniform, 1.0, 0.5}; };
  std::vector<Case> all = {
      {"image", {{{2, 3, 5, 7}}, {{7}}, {{2, 3, 5, 7}}, {{7}}, var(7)}, NormAttrs{}},
      {"rows", {{{5, 3}}, {{3}}, {{5, 3}}, {{3}}, var(3)}, NormAttrs{}},
      {"many channels", {{{2, 3, 3, 67}}, {{67}}, {{2, 3, 3, 67}}, {{67}}, var(67)}, NormAttrs{.eps = 0.01}},
      {"dy", {{{5, 3}}, {{3}}, {{3, 5}}, {{3}}, var(3)}, NormAttrs{}, "dy must have the shape of x"},
      {"var", {{{5, 3}}, {{3}}, {{5, 3}}, {{3}}, var(4)}, NormAttrs{}, "var must be [C] with C=3"},
  };
  if (!batch_statistics) return all;
  for (Case& c : all) c.in.push_back({{}, Sample::none});
  const std::vector<Case> without = all;
  for (Case c : without) {
    if (!c.throws.empty()) continue;
    c.name += ", relu", c.in[5] = {c.in[0].shape};
    all.push_back(c);
  }
  all.push_back({"y", {{{5, 3}}, {{3}}, {{5, 3}}, {{3}}, var(3), {{3, 5}}}, NormAttrs{}, "y must have the shape of x"});
  return all;
}
std::vector<Case> cases_eval() {
  const auto var = [](int64_t c) { return Sample{{c}, Sample::uniform, 1.0, 0.5}; };
  return {
      {"image", {{{2, 3, 5, 7}}, {{7}}, {{7}}, {{7}}, var(7)}, NormAttrs{}},
      {"one row", {{{1, 3}}, {{3}}, {{3}}, {{3}}, var(3)}, NormAttrs{}},
      {"many channels", {{{2, 3, 3, 67}}, {{67}}, {{67}}, {{67}}, var(67)}, NormAttrs{.eps = 0.01}},
      {"mean", {{{5, 3}}, {{3}}, {{3}}, {{5}}, var(3)}, NormAttrs{}, "mean must be [C] with C=3"},
  };
}

}  // namespace

extern constinit const Op batch_norm_train_op{
    .name = "batch_norm_train",
    .formula = "y[*,c] = gamma[c] (x[*,c] - mean[c]) / sqrt(var[c] + eps) + beta[c]",
    .inputs = {{"x", "[*,C]"}, {"gamma", "[C]", Arg::wide}, {"beta", "[C]", Arg::wide}},
    .outputs = {{"y", "[*,C]"}, {"mean", "[C]"}, {"var", "[C]"}},
    .infer = infer_train,
    .cost = cost_train,
    .grad = grad_train,
    .keep = {"x", "gamma", "mean", "var"},
    .kernel = {.ref = ref_train, .cpu = cpu::batch_norm_train, .cuda = cuda::batch_norm_train},
    .cases = cases_train};
extern constinit const Op batch_norm_relu_op{
    .name = "batch_norm_relu",
    .formula = "y[*,c] = max(0, gamma[c] (x[*,c] - mean[c]) / sqrt(var[c] + eps) + beta[c] + residual[*,c])",
    .inputs = {{"x", "[*,C]"}, {"gamma", "[C]", Arg::wide}, {"beta", "[C]", Arg::wide},
               {"residual", "[*,C]", Arg::optional}},
    .outputs = {{"y", "[*,C]"}, {"mean", "[C]"}, {"var", "[C]"}},
    .infer = infer_relu,
    .cost = cost_relu,
    .grad = grad_relu,
    .keep = {"x", "gamma", "mean", "var", "y"},
    .kernel = {.ref = ref_relu, .cpu = cpu::batch_norm_relu, .cuda = cuda::batch_norm_relu},
    .cases = cases_relu};
extern constinit const Op batch_norm_grad_op{
    .name = "batch_norm_grad",
    .formula = "dx = gamma/sqrt(var+eps) (dy - sum(dy)/M - h sum(dy h)/M)",
    .inputs = {{"x", "[*,C]"},
               {"gamma", "[C]", Arg::wide},
               {"dy", "[*,C]"},
               {"mean", "[C]", Arg::wide},
               {"var", "[C]", Arg::wide},
               {"y", "[*,C]", Arg::optional}},
    .outputs = {{"dx", "[*,C]"}, {"dgamma", "[C]"}, {"dbeta", "[C]"}},
    .infer = infer_grad,
    .cost = cost_grad,
    .grad = no_gradient,
    .keep = {},
    .kernel = {.ref = ref_grad<true>, .cpu = cpu::batch_norm_grad, .cuda = cuda::batch_norm_grad},
    .cases = cases_grad<true>};
extern constinit const Op batch_norm_eval_op{
    .name = "batch_norm_eval",
    .formula = "y[*,c] = gamma[c] (x[*,c] - mean[c]) / sqrt(var[c] + eps) + beta[c]",
    .inputs = {{"x", "[*,C]"},
               {"gamma", "[C]", Arg::wide},
               {"beta", "[C]", Arg::wide},
               {"mean", "[C]", Arg::constant | Arg::wide},
               {"var", "[C]", Arg::constant | Arg::wide}},
    .outputs = {{"y", "[*,C]"}},
    .infer = infer_eval,
    .cost = cost_eval,
    .grad = grad_eval,
    .keep = {"x", "gamma", "mean", "var"},
    .kernel = {.ref = ref_eval, .cpu = cpu::batch_norm_eval, .cuda = cuda::batch_norm_eval},
    .cases = cases_eval};
extern constinit const Op batch_norm_eval_grad_op{
    .name = "batch_norm_eval_grad",
    .formula = "dx = gamma/sqrt(var+eps) dy",
    .inputs = {{"x", "[*,C]"},
               {"gamma", "[C]", Arg::wide},
               {"dy", "[*,C]"},
               {"mean", "[C]", Arg::wide},
               {"var", "[C]", Arg::wide}},
    .outputs = {{"dx", "[*,C]"}, {"dgamma", "[C]"}, {"dbeta", "[C]"}},
    .infer = infer_grad,
    .cost = cost_grad,
    .grad = no_gradient,
    .keep = {},
    .kernel = {.ref = ref_grad<false>, .cpu = nullptr, .cuda = cuda::batch_norm_eval_grad},
    .cases = cases_grad<false>};

NormResult batch_norm_train(const Tensor& x, const Tensor& gamma, const Tensor& beta, const NormAttrs& a) {
  const Tensors r = run(batch_norm_train_op, {x, gamma, beta}, a);
  return {r[0], r[1], r[2]};
}
Tensor batch_norm_eval(const Tensor& x, const Tensor& gamma, const Tensor& beta, const Tensor& mean, const Tensor& var,
                       const NormAttrs& a) {
  return run(batch_norm_eval_op, {x, gamma, beta, mean, var}, a)[0];
}

}  // namespace querent
