// gaussian_nll: the regression loss of Kendall and Gal (NeurIPS 2017), eq. 5, with s = log sigma^2:
//   loss = (1/n) sum e^-s (y - m)^2 / 2 + s/2
// gaussian_nll_grad: dm = dloss e^-s (m - y) / n,   ds = dloss (1 - e^-s (y - m)^2) / (2n)
// m, s, y [*] of one shape   loss []
// The network learns s, not sigma^2: no division by zero, and the loss is minimal at e^s = (y - m)^2.
#include <cmath>

#include "tensor/kernels.h"
#include "tensor/ops.h"
#include "tensor/ops/checks.h"
#include "tensor/run.h"
#include "tensor/visit.h"

namespace querent {

extern const Op gaussian_nll_grad_op;

namespace {

std::vector<TensorSpec> infer(Inputs in, const Attrs&) {
  check_same_shape("gaussian_nll", "log_var", in[1], "mean", in[0]);
  check_same_shape("gaussian_nll", "target", in[2], "mean", in[0]);
  check(in[0].numel() > 0, "gaussian_nll: a mean of no elements; mean={}", in[0]);
  return {{{}, in[0].dtype()}};
}
std::vector<TensorSpec> infer_grad(Inputs in, const Attrs& attrs) {
  infer(in, attrs);
  check_scalar("gaussian_nll", "dloss", in[3]);
  return {{in[0].shape(), in[0].dtype()}, {in[0].shape(), in[0].dtype()}};
}
Cost cost(Inputs in, const Attrs&) {
  return {8.0 * static_cast<double>(in[0].numel()), traffic(in) + static_cast<double>(dtype_size(in[0].dtype()))};
}
Cost cost_grad(Inputs in, const Attrs&) {
  return {9.0 * static_cast<double>(in[0].numel()), traffic(in) + 2.0 * static_cast<double>(in[0].bytes())};
}

void ref(const Call& c) {
  visit_float(c.out[0].dtype(), [&]<class T>() {
    const T *mean = c.in[0].data<T>(), *log_var = c.in[1].data<T>(), *target = c.in[2].data<T>();
    double sum = 0;
    for (int64_t i = 0; i < c.in[0].numel(); ++i) {
      const double s = static_cast<double>(log_var[i]),
                   d = static_cast<double>(target[i]) - static_cast<double>(mean[i]);
      sum += 0.5 * std::exp(-s) * d * d + 0.5 * s;
    }
    *c.out[0].data<T>() = static_cast<T>(sum / static_cast<double>(c.in[0].numel()));
  });
}

void ref_grad(const Call& c) {
  visit_float(c.out[0].dtype(), [&]<class T>() {
    const T *mean = c.in[0].data<T>(), *log_var = c.in[1].data<T>(), *target = c.in[2].data<T>();
    T *dmean = c.out[0].data<T>(), *dlog_var = c.out[1].data<T>();
    const double factor = static_cast<double>(*c.in[3].data<T>()) / static_cast<double>(c.in[0].numel());
    for (int64_t i = 0; i < c.in[0].numel(); ++i) {
      const double precision = std::exp(-static_cast<double>(log_var[i]));
      const double d = static_cast<double>(target[i]) - static_cast<double>(mean[i]);
      dmean[i] = static_cast<T>(-factor * precision * d);
      dlog_var[i] = static_cast<T>(factor * 0.5 * (1 - precision * d * d));
    }
  });
}

Tensors grad(const GradCall& g) {
  Tensors d = run(gaussian_nll_grad_op, {g.in[0], g.in[1], g.in[2], g.dy[0]});
  d.resize(3);
  return d;
}

std::vector<Case> cases() {
  return {
      {"image", {{{2, 3, 5, 1}}, {{2, 3, 5, 1}}, {{2, 3, 5, 1}}}, {}},
      {"one element", {{{1}}, {{1}}, {{1}}}, {}},
      {"rows", {{{7, 3}}, {{7, 3}}, {{7, 3}}}, {}},
      {"long", {{{1031}}, {{1031}}, {{1031}}}, {}},
      {"log_var", {{{7, 3}}, {{7, 1}}, {{7, 3}}}, {}, "log_var must have the shape of mean"},
      {"target", {{{7, 3}}, {{7, 3}}, {{7}}}, {}, "target must have the shape of mean"},
      {"empty", {{{0}}, {{0}}, {{0}}}, {}, "a mean of no elements"},
  };
}
std::vector<Case> cases_grad() {
  std::vector<Case> all = cases();
  for (Case& c : all) c.in.push_back({});
  all.push_back({"dloss", {{{7}}, {{7}}, {{7}}, {{7}}}, {}, "dloss must be a scalar"});
  return all;
}

}  // namespace

extern constinit const Op gaussian_nll_op{
    .name = "gaussian_nll",
    .formula = "loss = mean e^-s (y - m)^2 / 2 + s/2",
    .inputs = {{"mean", "[*]"}, {"log_var", "[*]"}, {"target", "[*]", Arg::constant}},
    .outputs = {{"loss", "[]"}},
    .infer = infer,
    .cost = cost,
    .grad = grad,
    .keep = {"mean", "log_var", "target"},
    .kernel = {.ref = ref, .cpu = nullptr, .cuda = cuda::gaussian_nll},
    .cases = cases};
extern constinit const Op gaussian_nll_grad_op{
    .name = "gaussian_nll_grad",
    .formula = "dm = dloss e^-s (m - y) / n,  ds = dloss (1 - e^-s (y - m)^2) / (2n)",
    .inputs = {{"mean", "[*]"}, {"log_var", "[*]"}, {"target", "[*]"}, {"dloss", "[]"}},
    .outputs = {{"dmean", "[*]"}, {"dlog_var", "[*]"}},
    .infer = infer_grad,
    .cost = cost_grad,
    .grad = no_gradient,
    .keep = {},
    .kernel = {.ref = ref_grad, .cpu = nullptr, .cuda = cuda::gaussian_nll_grad},
    .cases = cases_grad};

Tensor gaussian_nll(const Tensor& mean, const Tensor& log_var, const Tensor& target) {
  return run(gaussian_nll_op, {mean, log_var, target})[0];
}

}  // namespace querent
