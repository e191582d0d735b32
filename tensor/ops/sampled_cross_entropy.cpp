// sampled_cross_entropy: the classification loss of Kendall and Gal (NeurIPS 2017), eq. 12. At each position i with
// label l, logits f[c] and log-variances s[c], T noisy logits are drawn and their likelihoods averaged:
//   z[t,c] = f[c] + e^(s[c]/2) eps[t,c],   q[t] = log softmax(z[t])[l],   loss = -mean_i log (1/T) sum_t e^q[t]
// sampled_cross_entropy_grad, for the same eps, with r[t] = softmax_t(q), p[t] = softmax(z[t]), d = p - 1[c = l]:
//   df[c] = dloss/M sum_t r[t] d[t,c],   ds[c] = dloss/M sum_t r[t] d[t,c] eps[t,c] e^(s[c]/2) / 2
// logits [N,*,C]   log_var [N,*,C], or [N,*,1] for one s per position   labels i64 [N,*], -1 ignored   streams i64
// [N,2] C = 1 is the binary problem: p = sigmoid(z), labels 0 and 1.   M positions count; when none does the loss is 0.
// eps[t,c] at position i of its row is standard normal number (t P + i) C + c, P positions per row, of the row's stream
// at `site` (stream_normal in rng.h): the same in the loss and in its gradient, stored nowhere.
#include <algorithm>
#include <cmath>

#include "tensor/kernels.h"
#include "tensor/ops.h"
#include "tensor/ops/checks.h"
#include "tensor/rng.h"
#include "tensor/run.h"
#include "tensor/visit.h"

namespace querent {

extern const Op sampled_cross_entropy_grad_op;

namespace {

std::vector<TensorSpec> infer(Inputs in, const Attrs& attrs) {
  const auto& a = attrs.as<SampledLogitsAttrs>();
  const Tensor &f = in[0], &s = in[1], &labels = in[2];
  check(f.rank() >= 2 && f.dim(-1) >= 1, "sampled_cross_entropy: logits must be [N,*,C]; logits={}", f);
  Shape positions, shared;
  for (int i = 0; i + 1 < f.rank(); ++i) positions.push_back(f.dim(i)), shared.push_back(f.dim(i));
  shared.push_back(1);
  check(s.shape() == f.shape() || s.shape() == shared,
        "sampled_cross_entropy: log_var must be [N,*,C] like logits, or [N,*,1]; logits={} log_var={}", f, s);
  check(labels.dtype() == DType::i64 && labels.shape() == positions,
        "sampled_cross_entropy: labels must be i64 [N,*], logits without the axis C; logits={} labels={}", f, labels);
  check_streams("sampled_cross_entropy", in[3], f);
  check(a.samples >= 1, "sampled_cross_entropy: at least one sample must be drawn, samples={}", a.samples);
  check(a.samples * f.numel() <= int64_t{1} << 34, "sampled_cross_entropy: more than 2^34 draws; logits={} samples={}",
        f, a.samples);
  return {{{}, f.dtype()}};
}
std::vector<TensorSpec> infer_grad(Inputs in, const Attrs& attrs) {
  infer(in, attrs);
  check_scalar("sampled_cross_entropy", "dloss", in[4]);
  return {{in[0].shape(), in[0].dtype()}, {in[1].shape(), in[1].dtype()}};
}
Cost cost(Inputs in, const Attrs& attrs) {
  const double draws = static_cast<double>(attrs.as<SampledLogitsAttrs>().samples * in[0].numel());
  return {12 * draws, traffic(in) + static_cast<double>(dtype_size(in[0].dtype()))};
}
Cost cost_grad(Inputs in, const Attrs& attrs) {
  const double draws = static_cast<double>(attrs.as<SampledLogitsAttrs>().samples * in[0].numel());
  return {18 * draws, traffic(in) + static_cast<double>(in[0].bytes() + in[1].bytes())};
}

// The T draws at one position.
struct Draws {
  int64_t classes, samples;
  std::vector<double> eps, p;  // [T,C]
  std::vector<double> q;       // [T]
  Draws(int64_t c, int64_t t)
      : classes(c), samples(t), eps(static_cast<size_t>(c * t)), p(eps.size()), q(static_cast<size_t>(t)) {}

  // log (1/T) sum_t e^q[t]
  double log_likelihood() const {
    const double top = *std::max_element(q.begin(), q.end());
    double sum = 0;
    for (const double v : q) sum += std::exp(v - top);
    return top + std::log(sum / static_cast<double>(samples));
  }
};

// Fills p[c] from noisy logits z[c] and returns the log-likelihood of `label`.
double likelihood(const double* z, double* p, int64_t classes, int64_t label) {
  if (classes == 1) {  // log sigmoid(z) or log sigmoid(-z) = min(m,0) - log(1 + e^-|m|)
    const double margin = label ? z[0] : -z[0],
                 log_of = std::min(margin, 0.0) - std::log1p(std::exp(-std::abs(margin)));
    p[0] = label ? std::exp(log_of) : -std::expm1(log_of);
    return log_of;
  }
  const double top = *std::max_element(z, z + classes);
  double sum = 0;
  for (int64_t c = 0; c < classes; ++c) sum += p[c] = std::exp(z[c] - top);
  for (int64_t c = 0; c < classes; ++c) p[c] /= sum;
  return z[label] - top - std::log(sum);
}

// Calls f(i, label, draws) at each position i that counts, in order.
template <class T, class F>
void for_each_position(const Call& c, F f) {
  const auto& a = c.attrs.as<SampledLogitsAttrs>();
  const int64_t rows = c.in[0].dim(0), classes = c.in[0].dim(-1), wide = c.in[1].dim(-1);
  const int64_t positions = c.in[2].numel() / std::max<int64_t>(rows, 1);
  const int64_t *labels = c.in[2].data<int64_t>(), *streams = c.in[3].data<int64_t>();
  Draws draws(classes, a.samples);
  std::vector<double> z(static_cast<size_t>(classes));
  for (int64_t i = 0; i < rows * positions; ++i) {
    if (labels[i] < 0) continue;
    const T *logits = c.in[0].data<T>() + i * classes, *log_var = c.in[1].data<T>() + i * wide;
    const int64_t row = i / positions;
    for (int64_t t = 0; t < a.samples; ++t) {
      const int64_t first = (t * positions + i % positions) * classes;
      double *eps = &draws.eps[static_cast<size_t>(t * classes)], *p = &draws.p[static_cast<size_t>(t * classes)];
      for (int64_t k = 0; k < classes; ++k) {
        eps[k] = stream_normal(streams[2 * row], streams[2 * row + 1], a.site, first + k);
        const double sigma = std::exp(0.5 * static_cast<double>(log_var[wide == 1 ? 0 : k]));
        z[static_cast<size_t>(k)] = static_cast<double>(logits[k]) + sigma * eps[k];
      }
      draws.q[static_cast<size_t>(t)] = likelihood(z.data(), p, classes, labels[i]);
    }
    f(i, labels[i], draws);
  }
}

void ref(const Call& c) {
  const int64_t counted = check_labels("sampled_cross_entropy", c.in[2], std::max<int64_t>(c.in[0].dim(-1), 2));
  visit_float(c.out[0].dtype(), [&]<class T>() {
    double sum = 0;
    for_each_position<T>(c, [&](int64_t, int64_t, const Draws& d) { sum -= d.log_likelihood(); });
    *c.out[0].data<T>() = static_cast<T>(counted ? sum / static_cast<double>(counted) : 0);
  });
}

void ref_grad(const Call& c) {
  const int64_t counted = check_labels("sampled_cross_entropy", c.in[2], std::max<int64_t>(c.in[0].dim(-1), 2));
  const int64_t classes = c.in[0].dim(-1), wide = c.in[1].dim(-1);
  visit_float(c.out[0].dtype(), [&]<class T>() {
    T *df = c.out[0].data<T>(), *ds = c.out[1].data<T>();
    const T* log_var = c.in[1].data<T>();
    std::fill(df, df + c.out[0].numel(), T(0));
    std::fill(ds, ds + c.out[1].numel(), T(0));
    const double factor = static_cast<double>(*c.in[4].data<T>()) / static_cast<double>(std::max<int64_t>(counted, 1));
    for_each_position<T>(c, [&](int64_t i, int64_t label, const Draws& d) {
      const double log_likelihood = d.log_likelihood();
      double shared = 0;
      for (int64_t k = 0; k < classes; ++k) {
        double to_f = 0, to_s = 0;
        for (int64_t t = 0; t < d.samples; ++t) {
          const double r = std::exp(d.q[static_cast<size_t>(t)] - log_likelihood) / static_cast<double>(d.samples);
          const bool hit = classes == 1 ? label == 1 : k == label;
          const double slope = r * (d.p[static_cast<size_t>(t * classes + k)] - (hit ? 1 : 0));
          to_f += slope;
          to_s += slope * d.eps[static_cast<size_t>(t * classes + k)];
        }
        const double sigma = std::exp(0.5 * static_cast<double>(log_var[i * wide + (wide == 1 ? 0 : k)]));
        df[i * classes + k] = static_cast<T>(factor * to_f);
        shared += to_s;
        if (wide == classes) ds[i * wide + k] = static_cast<T>(factor * to_s * sigma / 2);
        if (wide != classes && k + 1 == classes) ds[i] = static_cast<T>(factor * shared * sigma / 2);
      }
    });
  });
}

Tensors grad(const GradCall& g) {
  Tensors d = run(sampled_cross_entropy_grad_op, {g.in[0], g.in[1], g.in[2], g.in[3], g.dy[0]}, g.attrs);
  d.resize(4);
  return d;
}

std::vector<Case> cases() {
  const auto labels = [](Shape s, double classes) { return Sample{s, Sample::index, classes}; };
  const auto streams = [](int64_t n) { return Sample{{n, 2}, Sample::streams}; };
  const SampledLogitsAttrs a{.samples = 5, .site = 77};
  return {
      {"rows", {{{7, 3}}, {{7, 3}}, labels({7}, 3), streams(7)}, a},
      {"one variance per row", {{{5, 3}}, {{5, 1}}, labels({5}, 3), streams(5)}, a},
      {"pixels", {{{2, 3, 5, 3}}, {{2, 3, 5, 3}}, labels({2, 3, 5}, 3), streams(2)}, a},
      {"binary pixels", {{{2, 3, 5, 1}}, {{2, 3, 5, 1}}, labels({2, 3, 5}, 2), streams(2)}, a},
      {"binary, long rows", {{{2, 37, 41, 1}}, {{2, 37, 41, 1}}, labels({2, 37, 41}, 2), streams(2)}, a},
      {"binary, large logits", {{{1, 50, 1}, Sample::normal, 100}, {{1, 50, 1}}, labels({1, 50}, 2), streams(1)}, a},
      {"one sample", {{{3, 2}}, {{3, 2}}, labels({3}, 2), streams(3)}, SampledLogitsAttrs{.samples = 1}},
      {"large logits", {{{3, 5}, Sample::normal, 100}, {{3, 1}}, labels({3}, 5), streams(3)}, a},
      {"log_var", {{{7, 3}}, {{7, 2}}, labels({7}, 3), streams(7)}, a, "log_var must be [N,*,C] like logits"},
      {"labels", {{{7, 3}}, {{7, 3}}, labels({7, 1}, 3), streams(7)}, a, "labels must be i64 [N,*]"},
      {"streams", {{{7, 3}}, {{7, 3}}, labels({7}, 3), streams(6)}, a, "streams must be i64 [N,2]"},
      {"samples", {{{7, 3}}, {{7, 3}}, labels({7}, 3), streams(7)}, SampledLogitsAttrs{.samples = 0}, "at least one"},
      {"rank", {{{7}}, {{7}}, labels({7}, 3), streams(7)}, a, "logits must be [N,*,C]"},
      {"label", {{{99, 1}}, {{99, 1}}, labels({99}, 50), streams(99)}, a, "is not in 0..1"},
  };
}
std::vector<Case> cases_grad() {
  std::vector<Case> all = cases();
  for (Case& c : all) c.in.push_back({});
  Case c = all[0];
  c.name = "dloss", c.in[4].shape = {7}, c.throws = "dloss must be a scalar";
  all.push_back(c);
  return all;
}

}  // namespace

extern constinit const Op sampled_cross_entropy_op{
    .name = "sampled_cross_entropy",
    .formula = "loss = -mean log (1/T) sum_t softmax(f + e^(s/2) eps_t)[label]",
    .inputs = {{"logits", "[N,*,C]"},
               {"log_var", "[N,*,C]"},
               {"labels", "i64 [N,*]", Arg::constant},
               {"streams", "i64 [N,2]", Arg::constant}},
    .outputs = {{"loss", "[]"}},
    .infer = infer,
    .cost = cost,
    .grad = grad,
    .keep = {"logits", "log_var", "labels", "streams"},
    .kernel = {.ref = ref, .cpu = cpu::sampled_cross_entropy, .cuda = cuda::sampled_cross_entropy},
    .cases = cases};
extern constinit const Op sampled_cross_entropy_grad_op{
    .name = "sampled_cross_entropy_grad",
    .formula = "df = dloss/M sum_t r_t (p_t - 1[label]),  ds = dloss/M sum_t r_t (p_t - 1[label]) eps_t e^(s/2) / 2",
    .inputs = {{"logits", "[N,*,C]"},
               {"log_var", "[N,*,C]"},
               {"labels", "i64 [N,*]"},
               {"streams", "i64 [N,2]"},
               {"dloss", "[]"}},
    .outputs = {{"dlogits", "[N,*,C]"}, {"dlog_var", "[N,*,C]"}},
    .infer = infer_grad,
    .cost = cost_grad,
    .grad = no_gradient,
    .keep = {},
    .kernel = {.ref = ref_grad, .cpu = cpu::sampled_cross_entropy_grad, .cuda = cuda::sampled_cross_entropy_grad},
    .cases = cases_grad};

Tensor sampled_cross_entropy(const Tensor& logits, const Tensor& log_var, const Tensor& labels, const Tensor& streams,
                             const SampledLogitsAttrs& a) {
  return run(sampled_cross_entropy_op, {logits, log_var, labels, streams}, a)[0];
}

}  // namespace querent
