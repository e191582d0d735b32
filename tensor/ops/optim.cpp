// Optimizer steps in place over flat arenas, all [n]: one op a step, whatever the number of layers. As in PyTorch 2:
//   sgd_update:   g' = g + wd p;   u = mu u + g';   p -= lr (nesterov ? g' + mu u : u)
//   adam_update:  g' = g + wd p (coupled) or p *= 1 - lr wd first (decoupled: AdamW, Loshchilov and Hutter 2019);
//                 m = b1 m + (1-b1) g';   v = b2 v + (1-b2) g'^2;   p -= lr/c1 m / (sqrt(v/c2) + eps)
//   accumulate:   into += x
// What varies from step to step is in `hyper`, a tensor, so that a captured step can be replayed. It holds 1-b1 and
// 1-b2 because these have all their digits in f32, while 1 - 0.999f has lost four of seven. A velocity of zeros makes
// the first SGD step u = g', which is how PyTorch starts its momentum.
#include <cmath>

#include "tensor/kernels.h"
#include "tensor/ops.h"
#include "tensor/ops/checks.h"
#include "tensor/run.h"
#include "tensor/visit.h"

namespace querent {
namespace {

void check_hyper(std::string_view op, const Tensor& hyper, int64_t count, std::string_view fields) {
  check(hyper.shape() == Shape{count}, "{}: hyper must be [{}] = {}; hyper={}", op, count, fields, hyper);
}

// ---- sgd_update (p, g, velocity, hyper)

std::vector<TensorSpec> infer_sgd(Inputs in, const Attrs&) {
  check_same_shape("sgd_update", "g", in[1], "p", in[0]);
  check_same_shape("sgd_update", "velocity", in[2], "p", in[0]);
  check_hyper("sgd_update", in[3], 4, "{lr, momentum, weight_decay, nesterov}");
  return {};
}
Cost cost_sgd(Inputs in, const Attrs&) {
  return {8.0 * static_cast<double>(in[0].numel()), traffic(in) + 2.0 * static_cast<double>(in[0].bytes())};
}
void ref_sgd(const Call& c) {
  visit_float(c.in[0].dtype(), [&]<class T>() {
    T *p = c.in[0].data<T>(), *velocity = c.in[2].data<T>();
    const T *g = c.in[1].data<T>(), *hyper = c.in[3].data<T>();
    const double lr = hyper[0], momentum = hyper[1], decay = hyper[2];
    const bool nesterov = hyper[3] != 0;
    for (int64_t i = 0; i < c.in[0].numel(); ++i) {
      const double step = static_cast<double>(g[i]) + decay * static_cast<double>(p[i]);
      const double u = momentum * static_cast<double>(velocity[i]) + step;
      velocity[i] = static_cast<T>(u);
      p[i] = static_cast<T>(static_cast<double>(p[i]) - lr * (nesterov ? step + momentum * u : u));
    }
  });
}

// ---- adam_update (p, g, m, v, hyper)

std::vector<TensorSpec> infer_adam(Inputs in, const Attrs&) {
  check_same_shape("adam_update", "g", in[1], "p", in[0]);
  check_same_shape("adam_update", "m", in[2], "p", in[0]);
  check_same_shape("adam_update", "v", in[3], "p", in[0]);
  check_hyper("adam_update", in[4], 7, "{lr, 1-beta1, 1-beta2, eps, weight_decay, 1-beta1^t, 1-beta2^t}");
  return {};
}
Cost cost_adam(Inputs in, const Attrs&) {
  return {16.0 * static_cast<double>(in[0].numel()), traffic(in) + 3.0 * static_cast<double>(in[0].bytes())};
}
void ref_adam(const Call& c) {
  const bool decoupled = c.attrs.as<AdamAttrs>().decoupled;
  visit_float(c.in[0].dtype(), [&]<class T>() {
    T *p = c.in[0].data<T>(), *m = c.in[2].data<T>(), *v = c.in[3].data<T>();
    const T *g = c.in[1].data<T>(), *hyper = c.in[4].data<T>();
    const double lr = hyper[0], rest1 = hyper[1], rest2 = hyper[2], eps = hyper[3], decay = hyper[4];
    const double correction1 = hyper[5], correction2 = hyper[6];
    for (int64_t i = 0; i < c.in[0].numel(); ++i) {
      const double before = static_cast<double>(p[i]);
      const double step = static_cast<double>(g[i]) + (decoupled ? 0 : decay * before);
      const double first = (1 - rest1) * static_cast<double>(m[i]) + rest1 * step;
      const double second = (1 - rest2) * static_cast<double>(v[i]) + rest2 * step * step;
      m[i] = static_cast<T>(first);
      v[i] = static_cast<T>(second);
      const double decayed = decoupled ? before * (1 - lr * decay) : before;
      p[i] = static_cast<T>(decayed - lr / correction1 * first / (std::sqrt(second / correction2) + eps));
    }
  });
}

// ---- accumulate (into, x)

std::vector<TensorSpec> infer_accumulate(Inputs in, const Attrs&) {
  check_same_shape("accumulate", "x", in[1], "into", in[0]);
  return {};
}
Cost cost_accumulate(Inputs in, const Attrs&) {
  return {static_cast<double>(in[0].numel()), 3.0 * static_cast<double>(in[0].bytes())};
}
void ref_accumulate(const Call& c) {
  visit_float(c.in[0].dtype(), [&]<class T>() {
    T* into = c.in[0].data<T>();
    const T* x = c.in[1].data<T>();
    for (int64_t i = 0; i < c.in[0].numel(); ++i) into[i] += x[i];
  });
}

// ---- cases

Sample rates(int64_t n) { return {{n}, Sample::uniform, 0.9, 0.05}; }  // every hyper-parameter in (0,1)

std::vector<Case> cases_sgd() {
  return {
      {"momentum, decay, nesterov", {{{7}}, {{7}}, {{7}}, rates(4)}, {}},
      {"plain", {{{9}}, {{9}}, {{9}}, {{4}, Sample::zeros}}, {}},
      {"first step", {{{3, 5}}, {{3, 5}}, {{3, 5}, Sample::zeros}, rates(4)}, {}},
      {"long", {{{1031}}, {{1031}}, {{1031}}, rates(4)}, {}},
      {"g", {{{7}}, {{6}}, {{7}}, rates(4)}, {}, "g must have the shape of p"},
      {"velocity", {{{7}}, {{7}}, {{6}}, rates(4)}, {}, "velocity must have the shape of p"},
      {"hyper", {{{7}}, {{7}}, {{7}}, rates(5)}, {}, "hyper must be [4]"},
  };
}
std::vector<Case> cases_adam() {
  const auto v = [](Shape s) { return Sample{s, Sample::uniform, 1.0, 0.5}; };
  const AdamAttrs adam, adamw{.decoupled = true};
  return {
      {"Adam", {{{7}}, {{7}}, {{7}}, v({7}), rates(7)}, adam},
      {"AdamW", {{{7}}, {{7}}, {{7}}, v({7}), rates(7)}, adamw},
      {"first step", {{{3, 5}}, {{3, 5}}, {{3, 5}, Sample::zeros}, {{3, 5}, Sample::zeros}, rates(7)}, adam},
      {"long", {{{1031}}, {{1031}}, {{1031}}, v({1031}), rates(7)}, adamw},
      {"m", {{{7}}, {{7}}, {{6}}, v({7}), rates(7)}, adam, "m must have the shape of p"},
      {"v", {{{7}}, {{7}}, {{7}}, v({7, 1}), rates(7)}, adam, "v must have the shape of p"},
      {"hyper", {{{7}}, {{7}}, {{7}}, v({7}), rates(4)}, adam, "hyper must be [7]"},
  };
}
std::vector<Case> cases_accumulate() {
  return {
      {"rows", {{{3, 5}}, {{3, 5}}}, {}},
      {"scalar", {{Shape{}}, {Shape{}}}, {}},
      {"long", {{{1031}}, {{1031}}}, {}},
      {"shapes", {{{3, 5}}, {{5}}}, {}, "x must have the shape of into"},
  };
}

}  // namespace

extern constinit const Op sgd_update_op{
    .name = "sgd_update",
    .formula = "u = mu u + (g + wd p);  p -= lr u  (nesterov: lr (g + wd p + mu u)); in place",
    .inputs = {{"p", "[*]", Arg::mutated},
               {"g", "[*]", Arg::constant},
               {"velocity", "[*]", Arg::mutated},
               {"hyper", "[4]", Arg::constant}},
    .outputs = {},
    .infer = infer_sgd,
    .cost = cost_sgd,
    .grad = no_gradient,
    .keep = {},
    .kernel = {.ref = ref_sgd, .cpu = cpu::sgd_update, .cuda = cuda::sgd_update},
    .cases = cases_sgd};
extern constinit const Op adam_update_op{
    .name = "adam_update",
    .formula = "m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2;  p -= lr/c1 m / (sqrt(v/c2) + eps); in place",
    .inputs = {{"p", "[*]", Arg::mutated},
               {"g", "[*]", Arg::constant},
               {"m", "[*]", Arg::mutated},
               {"v", "[*]", Arg::mutated},
               {"hyper", "[7]", Arg::constant}},
    .outputs = {},
    .infer = infer_adam,
    .cost = cost_adam,
    .grad = no_gradient,
    .keep = {},
    .kernel = {.ref = ref_adam, .cpu = cpu::adam_update, .cuda = cuda::adam_update},
    .cases = cases_adam};
extern constinit const Op accumulate_op{.name = "accumulate",
                                        .formula = "into += x; in place",
                                        .inputs = {{"into", "[*]", Arg::mutated}, {"x", "[*]", Arg::constant}},
                                        .outputs = {},
                                        .infer = infer_accumulate,
                                        .cost = cost_accumulate,
                                        .grad = no_gradient,
                                        .keep = {},
                                        .kernel = {.ref = ref_accumulate, .cpu = cpu::accumulate, .cuda = cuda::accumulate},
                                        .cases = cases_accumulate};

void sgd_update(const Tensor& p, const Tensor& g, const Tensor& velocity, const Tensor& hyper) {
  run(sgd_update_op, {p, g, velocity, hyper});
}
void adam_update(const Tensor& p, const Tensor& g, const Tensor& m, const Tensor& v, const Tensor& hyper,
                 const AdamAttrs& a) {
  run(adam_update_op, {p, g, m, v, hyper}, a);
}
void accumulate(const Tensor& into, const Tensor& x) { run(accumulate_op, {into, x}); }

}  // namespace querent
