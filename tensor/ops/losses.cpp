// Losses that are a mean over elements, n of them, and their gradients. All inputs [*] of one shape; the loss is [].
//   bce_with_logits: (1/n) sum w (max(z,0) - z t + log(1 + e^-|z|))    dz = dloss w (sigmoid(z) - t) / n
//   l1_loss:         (1/n) sum |a - b|                                 da = dloss sign(a - b) / n,   db = -da
//   mse_loss:        (1/n) sum (a - b)^2                               da = dloss 2 (a - b) / n,     db = -da
// The form of bce_with_logits is -t log p - (1-t) log(1-p), p = sigmoid(z), without overflow. w may be none (1).
#include <cmath>

#include "tensor/kernels.h"
#include "tensor/ops.h"
#include "tensor/ops/checks.h"
#include "tensor/ops/pointwise.h"
#include "tensor/run.h"
#include "tensor/visit.h"

namespace querent {

extern const Op bce_with_logits_grad_op, l1_loss_grad_op, mse_loss_grad_op;

namespace {

// ---- bce_with_logits (logits, target, weight) -> loss

std::vector<TensorSpec> infer_bce(Inputs in, const Attrs&) {
  check_same_shape("bce_with_logits", "target", in[1], "logits", in[0]);
  if (in[2]) check_same_shape("bce_with_logits", "weight", in[2], "logits", in[0]);
  check(in[0].numel() > 0, "bce_with_logits: a mean of no elements; logits={}", in[0]);
  return {{{}, in[0].dtype()}};
}
std::vector<TensorSpec> infer_bce_grad(Inputs in, const Attrs& attrs) {
  infer_bce(in, attrs);
  check_scalar("bce_with_logits", "dloss", in[3]);
  return {{in[0].shape(), in[0].dtype()}};
}
Cost cost_bce(Inputs in, const Attrs&) {
  return {8.0 * static_cast<double>(in[0].numel()), traffic(in) + static_cast<double>(dtype_size(in[0].dtype()))};
}
Cost cost_bce_grad(Inputs in, const Attrs&) {
  return {7.0 * static_cast<double>(in[0].numel()), traffic(in) + static_cast<double>(in[0].bytes())};
}
void ref_bce(const Call& c) {
  visit_float(c.out[0].dtype(), [&]<class T>() {
    const T *z = c.in[0].data<T>(), *target = c.in[1].data<T>(), *weight = c.in[2] ? c.in[2].data<T>() : nullptr;
    double sum = 0;
    for (int64_t i = 0; i < c.in[0].numel(); ++i) {
      const double x = static_cast<double>(z[i]), t = static_cast<double>(target[i]);
      const double loss = std::max(x, 0.0) - x * t + std::log1p(std::exp(-std::abs(x)));
      sum += loss * (weight ? static_cast<double>(weight[i]) : 1);
    }
    *c.out[0].data<T>() = static_cast<T>(sum / static_cast<double>(c.in[0].numel()));
  });
}
void ref_bce_grad(const Call& c) {
  visit_float(c.out[0].dtype(), [&]<class T>() {
    const T *z = c.in[0].data<T>(), *target = c.in[1].data<T>(), *weight = c.in[2] ? c.in[2].data<T>() : nullptr;
    T* dz = c.out[0].data<T>();
    const double factor = static_cast<double>(*c.in[3].data<T>()) / static_cast<double>(c.in[0].numel());
    for (int64_t i = 0; i < c.in[0].numel(); ++i) {
      const double p = pointwise::Sigmoid{}.f(static_cast<double>(z[i]));
      const double w = weight ? static_cast<double>(weight[i]) : 1;
      dz[i] = static_cast<T>(factor * w * (p - static_cast<double>(target[i])));
    }
  });
}
Tensors grad_bce(const GradCall& g) {
  Tensors d = run(bce_with_logits_grad_op, {g.in[0], g.in[1], g.in[2], g.dy[0]});
  d.resize(3);
  return d;
}

// ---- l1_loss, mse_loss (a, b) -> loss

struct L1 {
  static double f(double d) { return std::abs(d); }
  static double df(double d) { return d > 0 ? 1 : (d < 0 ? -1 : 0); }
};
struct Mse {
  static double f(double d) { return d * d; }
  static double df(double d) { return 2 * d; }
};

std::vector<TensorSpec> infer_difference(Inputs in, const Attrs&) {
  check_same_shape("loss", "b", in[1], "a", in[0]);
  check(in[0].numel() > 0, "loss: a mean of no elements; a={}", in[0]);
  return {{{}, in[0].dtype()}};
}
std::vector<TensorSpec> infer_difference_grad(Inputs in, const Attrs& attrs) {
  infer_difference(in, attrs);
  check_scalar("loss", "dloss", in[2]);
  return {{in[0].shape(), in[0].dtype()}};
}
Cost cost_difference(Inputs in, const Attrs&) {
  return {3.0 * static_cast<double>(in[0].numel()), traffic(in) + static_cast<double>(dtype_size(in[0].dtype()))};
}
Cost cost_difference_grad(Inputs in, const Attrs&) {
  return {3.0 * static_cast<double>(in[0].numel()), traffic(in) + static_cast<double>(in[0].bytes())};
}
template <class F>
void ref_difference(const Call& c) {
  visit_float(c.out[0].dtype(), [&]<class T>() {
    const T *a = c.in[0].data<T>(), *b = c.in[1].data<T>();
    double sum = 0;
    for (int64_t i = 0; i < c.in[0].numel(); ++i) sum += F::f(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    *c.out[0].data<T>() = static_cast<T>(sum / static_cast<double>(c.in[0].numel()));
  });
}
template <class F>
void ref_difference_grad(const Call& c) {
  visit_float(c.out[0].dtype(), [&]<class T>() {
    const T *a = c.in[0].data<T>(), *b = c.in[1].data<T>();
    T* da = c.out[0].data<T>();
    const double factor = static_cast<double>(*c.in[2].data<T>()) / static_cast<double>(c.in[0].numel());
    for (int64_t i = 0; i < c.in[0].numel(); ++i)
      da[i] = static_cast<T>(factor * F::df(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  });
}
template <const Op& grad_op>
Tensors grad_difference(const GradCall& g) {
  const Tensor da = run(grad_op, {g.in[0], g.in[1], g.dy[0]})[0];
  return {da, g.need[1] ? scale(da, -1) : Tensor{}};
}

// ---- cases

std::vector<Case> cases_bce() {
  const Sample none{{}, Sample::none};
  const auto target = [](Shape s) { return Sample{s, Sample::uniform}; };
  return {
      {"image", {{{2, 3, 5, 1}}, target({2, 3, 5, 1}), none}, {}},
      {"weighted", {{{7, 3}}, target({7, 3}), target({7, 3})}, {}},
      {"large logits", {{{3, 5}, Sample::normal, 100}, target({3, 5}), none}, {}},
      {"long", {{{1031}}, target({1031}), none}, {}},
      {"target", {{{7, 3}}, target({7, 2}), none}, {}, "target must have the shape of logits"},
      {"weight", {{{7, 3}}, target({7, 3}), target({3})}, {}, "weight must have the shape of logits"},
      {"empty", {{{0, 3}}, target({0, 3}), none}, {}, "a mean of no elements"},
  };
}
std::vector<Case> cases_bce_grad() {
  std::vector<Case> all = cases_bce();
  for (Case& c : all) c.in.push_back({});
  all.push_back({"dloss", {{{3}}, {{3}}, {{}, Sample::none}, {{3}}}, {}, "dloss must be a scalar"});
  return all;
}
std::vector<Case> cases_difference() {
  const auto a = [](Shape s) { return Sample{s, Sample::uniform, 2, 5}; };  // a > b: no kink at a = b
  const auto b = [](Shape s) { return Sample{s, Sample::uniform, 2, 2}; };
  return {
      {"image", {a({2, 3, 5, 7}), b({2, 3, 5, 7})}, {}},
      {"b is larger", {b({3, 7}), a({3, 7})}, {}},
      {"one element", {a({1}), b({1})}, {}},
      {"long", {a({1031}), b({1031})}, {}},
      {"shapes", {a({7, 3}), b({7, 1})}, {}, "b must have the shape of a"},
      {"empty", {a({0, 3}), b({0, 3})}, {}, "a mean of no elements"},
  };
}
std::vector<Case> cases_difference_grad() {
  std::vector<Case> all = cases_difference();
  for (Case& c : all) c.in.push_back({});
  all.push_back({"dloss", {{{3}}, {{3}}, {{3}}}, {}, "dloss must be a scalar"});
  return all;
}

}  // namespace

extern constinit const Op bce_with_logits_op{
    .name = "bce_with_logits",
    .formula = "loss = mean w (max(z,0) - z t + log(1 + e^-|z|))",
    .inputs = {{"logits", "[*]"}, {"target", "[*]", Arg::constant}, {"weight", "[*]", Arg::optional | Arg::constant}},
    .outputs = {{"loss", "[]"}},
    .infer = infer_bce,
    .cost = cost_bce,
    .grad = grad_bce,
    .keep = {"logits", "target", "weight"},
    .kernel = {.ref = ref_bce, .cpu = cpu::bce_with_logits, .cuda = cuda::bce_with_logits},
    .cases = cases_bce};
extern constinit const Op bce_with_logits_grad_op{
    .name = "bce_with_logits_grad",
    .formula = "dz = dloss w (sigmoid(z) - t) / n",
    .inputs = {{"logits", "[*]"}, {"target", "[*]"}, {"weight", "[*]", Arg::optional}, {"dloss", "[]"}},
    .outputs = {{"dlogits", "[*]"}},
    .infer = infer_bce_grad,
    .cost = cost_bce_grad,
    .grad = no_gradient,
    .keep = {},
    .kernel = {.ref = ref_bce_grad, .cpu = cpu::bce_with_logits_grad, .cuda = cuda::bce_with_logits_grad},
    .cases = cases_bce_grad};
extern constinit const Op l1_loss_op{.name = "l1_loss",
                                     .formula = "loss = mean |a - b|",
                                     .inputs = {{"a", "[*]"}, {"b", "[*]"}},
                                     .outputs = {{"loss", "[]"}},
                                     .infer = infer_difference,
                                     .cost = cost_difference,
                                     .grad = grad_difference<l1_loss_grad_op>,
                                     .keep = {"a", "b"},
                                     .kernel = {.ref = ref_difference<L1>, .cpu = nullptr, .cuda = cuda::l1_loss},
                                     .cases = cases_difference};
extern constinit const Op l1_loss_grad_op{
    .name = "l1_loss_grad",
    .formula = "da = dloss sign(a - b) / n",
    .inputs = {{"a", "[*]"}, {"b", "[*]"}, {"dloss", "[]"}},
    .outputs = {{"da", "[*]"}},
    .infer = infer_difference_grad,
    .cost = cost_difference_grad,
    .grad = no_gradient,
    .keep = {},
    .kernel = {.ref = ref_difference_grad<L1>, .cpu = nullptr, .cuda = cuda::l1_loss_grad},
    .cases = cases_difference_grad};
extern constinit const Op mse_loss_op{.name = "mse_loss",
                                      .formula = "loss = mean (a - b)^2",
                                      .inputs = {{"a", "[*]"}, {"b", "[*]"}},
                                      .outputs = {{"loss", "[]"}},
                                      .infer = infer_difference,
                                      .cost = cost_difference,
                                      .grad = grad_difference<mse_loss_grad_op>,
                                      .keep = {"a", "b"},
                                      .kernel = {.ref = ref_difference<Mse>, .cpu = nullptr, .cuda = cuda::mse_loss},
                                      .cases = cases_difference};
extern constinit const Op mse_loss_grad_op{
    .name = "mse_loss_grad",
    .formula = "da = dloss 2 (a - b) / n",
    .inputs = {{"a", "[*]"}, {"b", "[*]"}, {"dloss", "[]"}},
    .outputs = {{"da", "[*]"}},
    .infer = infer_difference_grad,
    .cost = cost_difference_grad,
    .grad = no_gradient,
    .keep = {},
    .kernel = {.ref = ref_difference_grad<Mse>, .cpu = nullptr, .cuda = cuda::mse_loss_grad},
    .cases = cases_difference_grad};

Tensor bce_with_logits(const Tensor& logits, const Tensor& target, const Tensor& weight) {
  return run(bce_with_logits_op, {logits, target, weight})[0];
}
Tensor l1_loss(const Tensor& a, const Tensor& b) { return run(l1_loss_op, {a, b})[0]; }
Tensor mse_loss(const Tensor& a, const Tensor& b) { return run(mse_loss_op, {a, b})[0]; }

}  // namespace querent
