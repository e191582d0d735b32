// soft_dice_loss (Milletari et al. 2016, with a smoothing term s):
//   loss = mean over n, c of 1 - A/B,   A = 2 sum_* p t + s,  B = sum_* p + sum_* t + s
// soft_dice_loss_grad: dp[n,*,c] = -dloss (2 t B - A) / B^2 / (N C)
// p, t [N,*,C]   loss []
// s keeps the ratio defined, and equal to 1, where both p and t are empty.
#include "tensor/kernels.h"
#include "tensor/ops.h"
#include "tensor/ops/checks.h"
#include "tensor/run.h"
#include "tensor/visit.h"

namespace querent {

extern const Op soft_dice_loss_grad_op;

namespace {

std::vector<TensorSpec> infer(Inputs in, const Attrs& attrs) {
  check(in[0].rank() >= 2 && in[0].numel() > 0, "soft_dice_loss: probability must be [N,*,C], not empty; got {}",
        in[0]);
  check_same_shape("soft_dice_loss", "target", in[1], "probability", in[0]);
  check(attrs.as<DiceAttrs>().smooth > 0, "soft_dice_loss: smooth must be positive, got {}",
        attrs.as<DiceAttrs>().smooth);
  return {{{}, in[0].dtype()}};
}
std::vector<TensorSpec> infer_grad(Inputs in, const Attrs& attrs) {
  infer(in, attrs);
  check_scalar("soft_dice_loss", "dloss", in[2]);
  return {{in[0].shape(), in[0].dtype()}};
}
Cost cost(Inputs in, const Attrs&) {
  return {4.0 * static_cast<double>(in[0].numel()), traffic(in) + static_cast<double>(dtype_size(in[0].dtype()))};
}
Cost cost_grad(Inputs in, const Attrs&) {
  return {7.0 * static_cast<double>(in[0].numel()), traffic(in) + static_cast<double>(in[0].bytes())};
}

// Calls f(first, A, B) for each image and channel; its elements are first, first+C, ... (pixels of them).
template <class T, class F>
void for_each_ratio(const Call& c, F f) {
  const int64_t images = c.in[0].dim(0), channels = c.in[0].dim(-1), pixels = c.in[0].numel() / images / channels;
  const double smooth = c.attrs.as<DiceAttrs>().smooth;
  const T *p = c.in[0].data<T>(), *t = c.in[1].data<T>();
  for (int64_t n = 0; n < images; ++n) {
    for (int64_t k = 0; k < channels; ++k) {
      const int64_t first = n * pixels * channels + k;
      double both = 0, either = 0;
      for (int64_t i = first; i < first + pixels * channels; i += channels) {
        both += static_cast<double>(p[i]) * static_cast<double>(t[i]);
        either += static_cast<double>(p[i]) + static_cast<double>(t[i]);
      }
      f(first, 2 * both + smooth, either + smooth);
    }
  }
}

void ref(const Call& c) {
  const double ratios = static_cast<double>(c.in[0].dim(0) * c.in[0].dim(-1));
  visit_float(c.out[0].dtype(), [&]<class T>() {
    double sum = 0;
    for_each_ratio<T>(c, [&](int64_t, double a, double b) { sum += 1 - a / b; });
    *c.out[0].data<T>() = static_cast<T>(sum / ratios);
  });
}

void ref_grad(const Call& c) {
  const int64_t channels = c.in[0].dim(-1), image = c.in[0].numel() / c.in[0].dim(0);
  visit_float(c.out[0].dtype(), [&]<class T>() {
    const T* t = c.in[1].data<T>();
    T* dp = c.out[0].data<T>();
    const double factor =
        static_cast<double>(*c.in[2].data<T>()) / static_cast<double>(c.in[0].dim(0) * c.in[0].dim(-1));
    for_each_ratio<T>(c, [&](int64_t first, double a, double b) {
      for (int64_t i = first; i < first + image; i += channels)
        dp[i] = static_cast<T>(-factor * (2 * static_cast<double>(t[i]) * b - a) / (b * b));
    });
  });
}

Tensors grad(const GradCall& g) { return {run(soft_dice_loss_grad_op, {g.in[0], g.in[1], g.dy[0]}, g.attrs)[0], {}}; }

std::vector<Case> cases() {
  const auto u = [](Shape s) { return Sample{s, Sample::uniform}; };
  return {
      {"image", {u({2, 3, 5, 1}), u({2, 3, 5, 1})}, DiceAttrs{}},
      {"classes", {u({3, 4, 4, 5}), u({3, 4, 4, 5})}, DiceAttrs{.smooth = 0.1}},
      {"no pixel is foreground", {u({2, 3, 5, 3}), {{2, 3, 5, 3}, Sample::zeros}}, DiceAttrs{}},
      {"rows", {u({7, 3}), u({7, 3})}, DiceAttrs{}},
      {"shapes", {u({2, 3, 5, 1}), u({2, 3, 5, 2})}, DiceAttrs{}, "target must have the shape of probability"},
      {"smooth", {u({7, 3}), u({7, 3})}, DiceAttrs{.smooth = 0}, "smooth must be positive"},
      {"rank", {u({7}), u({7})}, DiceAttrs{}, "probability must be [N,*,C]"},
  };
}
std::vector<Case> cases_grad() {
  std::vector<Case> all = cases();
  for (Case& c : all) c.in.push_back({});
  all.push_back({"dloss", {{{7, 3}}, {{7, 3}}, {{7}}}, DiceAttrs{}, "dloss must be a scalar"});
  return all;
}

}  // namespace

extern constinit const Op soft_dice_loss_op{
    .name = "soft_dice_loss",
    .formula = "loss = mean_{n,c} 1 - (2 sum p t + s) / (sum p + sum t + s)",
    .inputs = {{"probability", "[N,*,C]"}, {"target", "[N,*,C]", Arg::constant}},
    .outputs = {{"loss", "[]"}},
    .infer = infer,
    .cost = cost,
    .grad = grad,
    .keep = {"probability", "target"},
    .kernel = {.ref = ref, .cpu = nullptr, .cuda = cuda::soft_dice_loss},
    .cases = cases};
extern constinit const Op soft_dice_loss_grad_op{
    .name = "soft_dice_loss_grad",
    .formula = "dp = -dloss (2 t B - A) / B^2 / (N C),  A/B the ratio of soft_dice_loss",
    .inputs = {{"probability", "[N,*,C]"}, {"target", "[N,*,C]"}, {"dloss", "[]"}},
    .outputs = {{"dprobability", "[N,*,C]"}},
    .infer = infer_grad,
    .cost = cost_grad,
    .grad = no_gradient,
    .keep = {},
    .kernel = {.ref = ref_grad, .cpu = nullptr, .cuda = cuda::soft_dice_loss_grad},
    .cases = cases_grad};

Tensor soft_dice_loss(const Tensor& probability, const Tensor& target, const DiceAttrs& a) {
  return run(soft_dice_loss_op, {probability, target}, a)[0];
}

}  // namespace querent
