// BatchBALD (Kirsch, van Amersfoort and Gal 2019): the mutual information between the labels of a WHOLE batch and the
// weights, grown greedily. Two copies of one image are worth little more than one.
//
//   I(y_1..y_n ; w) = H(y_1..y_n) - sum_i mean_t H(p_t(y_i))
//
// By the chain rule the image that adds most to it, given the batch taken so far, is the one with the largest
//
//   gain = H(y | y_1..y_n) - mean_t H(p_t(y)),   H(y | y_1..y_n) = sum_m v_m H( sum_t pi_mt p_t(y) )
//
// over label configurations m of the batch, v_m = mean_t p_t(m) their probability and pi_mt = p_t(m) / sum_t p_t(m) the
// weight of pass t once they are known. That is the paper's difference of joint entropies, without the cancellation.
// All C^n configurations are kept while they are few; afterwards m are drawn from v (v_m = 1/M then, pass m mod T
// gives the labels of configuration m), which is the paper's estimate: consistent as M grows. The drawn ones are
// extended image by image, so one batch is judged by one sample.
#include <algorithm>
#include <cmath>

#include "al/acquisition/family.h"
#include "al/selection/family.h"
#include "tensor/rng.h"

namespace querent::al {
namespace {

double pass_entropy(std::span<const float> p, int64_t T) {  // mean_t H(p_t)
  double h = 0;
  for (const float q : p) h -= q > 0 ? static_cast<double>(q) * std::log(static_cast<double>(q)) : 0;
  return h / static_cast<double>(T);
}

}  // namespace

void JointLabels::add(std::span<const float> p, const std::function<double(int64_t)>& uniform) {
  const auto T = static_cast<size_t>(T_), C = static_cast<size_t>(C_);
  if (likelihood_.empty() && exact_) likelihood_.assign(T, 1.0);
  const size_t M = weight_.size();
  if (exact_ && static_cast<int64_t>(M * C) <= most_) {
    std::vector<double> next(M * C * T);
    for (size_t m = 0; m < M; ++m)
      for (size_t c = 0; c < C; ++c)
        for (size_t t = 0; t < T; ++t)
          next[(m * C + c) * T + t] = likelihood_[m * T + t] * static_cast<double>(p[t * C + c]);
    likelihood_ = std::move(next);
    weight_.assign(M * C, 0.0);
    posterior_ = likelihood_;
  } else {
    if (exact_) {  // from all configurations to a sample: configuration m keeps to pass m mod T
      const auto most = static_cast<size_t>(most_);
      std::vector<double> sampled(most * T);
      for (size_t t = 0; t < T; ++t) {
        // Its labels so far, drawn from that pass: where the running sum passes u, one u in each part of [0,1).
        const double draws = static_cast<double>(most / T);
        double sum = likelihood_[t];
        size_t m = 0;
        for (size_t i = t; i < most; i += T) {
          const double u = (static_cast<double>(i / T) + uniform(static_cast<int64_t>(i))) / draws;
          while (m + 1 < M && sum <= u) sum += likelihood_[++m * T + t];
          std::copy_n(&likelihood_[m * T], T, &sampled[i * T]);
        }
      }
      posterior_ = std::move(sampled);
      likelihood_.clear();
      weight_.assign(most, 1 / static_cast<double>(most));
      exact_ = false;
    }
    for (size_t m = 0; m < weight_.size(); ++m) {
      const float* row = p.data() + (m % T) * C;
      const double u = uniform(static_cast<int64_t>(m));
      double sum = 0;
      size_t c = 0;
      while (c + 1 < C && (sum += static_cast<double>(row[c])) <= u) ++c;
      while (row[c] <= 0) c = (c + C - 1) % C;  // rounding may point at an impossible last class
      for (size_t t = 0; t < T; ++t) posterior_[m * T + t] *= static_cast<double>(p[t * C + c]);
    }
  }
  for (size_t m = 0; m < weight_.size(); ++m) {
    double sum = 0;
    for (size_t t = 0; t < T; ++t) sum += posterior_[m * T + t];
    if (exact_) weight_[m] = sum / static_cast<double>(T_);
    for (size_t t = 0; t < T; ++t) posterior_[m * T + t] = sum > 0 ? posterior_[m * T + t] / sum : 0;
  }
}

double JointLabels::conditional_entropy(std::span<const float> p) const {
  const auto T = static_cast<size_t>(T_), C = static_cast<size_t>(C_);
  const std::vector<double> uniform(T, 1 / static_cast<double>(T_));
  const std::span<const double> posterior = posterior_.empty() ? std::span(uniform) : std::span(posterior_);
  std::vector<double> mean(C);
  double h = 0;
  for (size_t m = 0; m < weight_.size(); ++m) {
    std::fill(mean.begin(), mean.end(), 0.0);
    for (size_t t = 0; t < T; ++t)
      for (size_t c = 0; c < C; ++c) mean[c] += posterior[m * T + t] * static_cast<double>(p[t * C + c]);
    h += weight_[m] * entropy(mean);
  }
  return h;
}

double JointLabels::gain(std::span<const float> p) const { return conditional_entropy(p) - pass_entropy(p, T_); }

namespace {

// Lazy greedy (Minoux 1978): a label can only lose by what is known already, so an earlier gain bounds a later one and
// most candidates need no second look. (With sampled configurations the bound holds up to their noise.)
std::vector<Pick> select(const PoolView& view, int64_t k, const ScoreOptions& o) {
  constexpr size_t together = 64;
  constexpr double rounding = 1e-12;
  JointLabels joint(view.passes, view.classes, o.configurations);
  std::vector<double> gain;  // or its bound
  for (const PoolCase& c : view.cases) gain.push_back(c.score.value);
  std::vector<size_t> left = descending(gain);
  std::vector<Pick> picks;
  double total = 0;
  while (static_cast<int64_t>(picks.size()) < k) {
    double most = -1;
    for (size_t first = 0; first < left.size() && gain[left[first]] >= most - rounding; first += together) {
      const size_t last = std::min(left.size(), first + together);
#pragma omp parallel for schedule(static)
      for (size_t i = first; i < last; ++i) gain[left[i]] = joint.gain(view.cases[left[i]].p);
      for (size_t i = first; i < last; ++i) most = std::max(most, gain[left[i]]);
    }
    std::sort(left.begin(), left.end(),
              [&](size_t a, size_t b) { return gain[a] != gain[b] ? gain[a] > gain[b] : a < b; });
    const size_t best = left.front();
    left.erase(left.begin());
    const PoolCase& c = view.cases[best];
    total += gain[best];
    picks.push_back({best, {.value = gain[best], .group = 0, .parts = {{"bald", c.score.value}, {"batch", total}}}});
    Rng rng = Rng(o.seed).fork("batchbald").fork(c.id);
    joint.add(c.p, [&](int64_t) { return rng.uniform(); });
  }
  return picks;
}

}  // namespace

constinit const Strategy batchbald_strategy{
    .name = "batchbald",
    .alias = "batch_bald",
    .formula = "greedy max of H(y | batch) - mean_t H(p_t(y)): the gain in I(labels of the batch; weights)",
    .source = "Kirsch, van Amersfoort and Gal 2019",
    .doc =
        "BALD for a whole batch. Plain BALD counts what two similar images teach twice; here each next image counts "
        "only what the labels of those before it would leave open. Exact for small batches, then estimated from 10000 "
        "sampled label configurations. With T passes the batch can tell at most log T nats, so large batches need many "
        "passes: raise --mc.",
    .needs = {.several_passes = true, .classification_only = true, .probabilities = true},
    .compute = [](const Passes& x, const ScoreOptions& o) { return bald_strategy.compute(x, o); },
    .select = select};

}  // namespace querent::al
