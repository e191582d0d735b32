// Adaptive active learning (Li and Guo 2013): uncertainty times density, and the data choose how much of each.
//
//   f(x)  entropy of the class probabilities
//   d(x)  I(x; U \ x) = (1/2) ln( var(x) / var(x | U \ x) ) = (1/2) ( ln K_xx + ln (K^-1)_xx )
//         under a Gaussian process on the unlabelled images U, K = exp(-|h_x - h_y|^2 / s^2) + 1e-6 I
//   h_b   f^b d^(1-b), each b of 0.1, 0.2, ..., 1 proposes its best image; f and d are scaled to [0,1] first
//
// Of the proposed, the one is asked that leaves the smallest expected error on the rest of the pool,
//
//   sum_y P(y|x) sum_{z in U \ x} ( 1 - max_c P(c | z; labels and (x, y)) )
//
// with logistic regression retrained for each x and y, as in the paper; here on unit-length features of the network, whose
// own entropy is f. s^2 is the mean squared distance. The paper asks for one image at a time: in a batch, those taken
// leave U and join the labels with their class probabilities as the label.
#include <algorithm>
#include <cmath>

#include "al/acquisition/family.h"
#include "al/selection/family.h"
#include "tensor/error.h"

namespace querent::al {
namespace {

constexpr double jitter = 1e-6;
constexpr size_t most_candidates = 2000;  // K^-1 costs N^3
constexpr int betas = 10;

std::vector<double> scaled(std::vector<double> v, const std::vector<size_t>& rest) {  // to [0,1] over the rest
  double low = v[rest[0]], high = low;
  for (const size_t i : rest) low = std::min(low, v[i]), high = std::max(high, v[i]);
  for (double& x : v) x = high > low ? (x - low) / (high - low) : 1;
  return v;
}

// The pool and what is labelled of it, as the logistic regression sees them.
struct Lookahead {
  Points pool, labelled;
  std::vector<double> targets;  // [L,C]
  LogisticRegression now;

  void learn(size_t i, std::span<const double> target) {
    const auto row = pool.row(static_cast<int64_t>(i));
    labelled.d = pool.d, ++labelled.n;
    labelled.x.insert(labelled.x.end(), row.begin(), row.end());
    targets.insert(targets.end(), target.begin(), target.end());
  }
  // Mean over the rest of the pool.
  double expected_error(size_t i, const std::vector<size_t>& rest) const {
    const std::vector<double> p = now.probabilities(pool.row(static_cast<int64_t>(i)));
    double expected = 0;
    for (size_t y = 0; y < p.size(); ++y) {
      Lookahead after = *this;
      std::vector<double> label(p.size(), 0.0);
      label[y] = 1;
      after.learn(i, label);
      after.now.fit(after.labelled, after.targets);
      double error = 0;
      for (const size_t z : rest) {
        if (z == i) continue;
        const std::vector<double> q = after.now.probabilities(pool.row(static_cast<int64_t>(z)));
        error += 1 - *std::max_element(q.begin(), q.end());
      }
      expected += p[y] * error;
    }
    return expected / static_cast<double>(std::max<size_t>(rest.size() - 1, 1));
  }
};

}  // namespace

std::vector<double> gaussian_kernel(const Points& points, double width2) {
  const auto n = static_cast<size_t>(points.n);
  std::vector<double> k(n * n);
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j)
      k[i * n + j] = std::exp(-squared_distance(points.row(static_cast<int64_t>(i)), points.row(static_cast<int64_t>(j))) / width2) +
                     (i == j ? jitter : 0);
  return k;
}

// Gauss and Jordan in place, without pivoting: the pivots of a positive definite matrix are positive.
std::vector<double> inverse_of(std::vector<double> a, int64_t size) {
  const auto n = static_cast<size_t>(size);
  for (size_t k = 0; k < n; ++k) {
    const double pivot = a[k * n + k];
    check(pivot > 0, "adaptive: the kernel is not positive definite (pivot {} of image {})", pivot, k);
    a[k * n + k] = 1;
    for (size_t j = 0; j < n; ++j) a[k * n + j] /= pivot;
#pragma omp parallel for schedule(static) if (n >= worth_threads)
    for (size_t i = 0; i < n; ++i) {
      if (i == k) continue;
      const double factor = a[i * n + k];
      a[i * n + k] = 0;
      for (size_t j = 0; j < n; ++j) a[i * n + j] -= factor * a[k * n + j];
    }
  }
  return a;
}

void remove_from_inverse(std::vector<double>& inverse, int64_t size, size_t i) {
  const auto n = static_cast<size_t>(size);
  const std::vector<double> row(inverse.begin() + static_cast<ptrdiff_t>(i * n),
                                inverse.begin() + static_cast<ptrdiff_t>((i + 1) * n));
  for (size_t a = 0; a < n; ++a)
    for (size_t b = 0; b < n; ++b) inverse[a * n + b] -= row[a] * row[b] / row[i];
}

namespace {

std::vector<Pick> select(const PoolView& view, int64_t k, const ScoreOptions&) {
  const size_t n = view.cases.size();
  const auto C = static_cast<size_t>(view.classes);
  check(n <= most_candidates, "adaptive: {} candidates are too many, the cost grows with their cube; use --pool-limit {}",
        n, most_candidates);
  Lookahead ahead{unit_length(candidate_points(view)), unit_length(labelled_points(view)), {}, {view.classes, {}}};
  for (const int64_t y : view.labelled_class)
    for (size_t c = 0; c < C; ++c) ahead.targets.push_back(static_cast<int64_t>(c) == y);
  ahead.now.weights.assign(C * static_cast<size_t>(ahead.pool.d + 1), 0.0);
  double width2 = 0;
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j)
      width2 += squared_distance(ahead.pool.row(static_cast<int64_t>(i)), ahead.pool.row(static_cast<int64_t>(j))) /
                static_cast<double>(n * n);
  const std::vector<double> kernel = gaussian_kernel(ahead.pool, width2 > 0 ? width2 : 1);
  std::vector<double> inverse = inverse_of(kernel, ahead.pool.n);
  std::vector<size_t> rest(n);
  for (size_t i = 0; i < n; ++i) rest[i] = i;
  std::vector<double> entropies(n), density(n);
  for (size_t i = 0; i < n; ++i) entropies[i] = view.cases[i].score.value;
  std::vector<Pick> picks;
  while (static_cast<int64_t>(picks.size()) < k) {
    ahead.now.fit(ahead.labelled, ahead.targets);
    for (const size_t i : rest) density[i] = 0.5 * (std::log(kernel[i * n + i]) + std::log(inverse[i * n + i]));
    const std::vector<double> f = scaled(entropies, rest), d = scaled(density, rest);
    std::vector<Pick> proposed;
    for (int b = 1; b <= betas; ++b) {
      const double beta = b / static_cast<double>(betas);
      const size_t best = *std::max_element(rest.begin(), rest.end(), [&](size_t x, size_t y) {
        return adaptive_score(f[x], d[x], beta) < adaptive_score(f[y], d[y], beta);
      });
      if (std::any_of(proposed.begin(), proposed.end(), [&](const Pick& p) { return p.index == best; })) continue;
      const double error = ahead.expected_error(best, rest);
      proposed.push_back({best,
                          {.value = -error,
                           .group = 0,
                           .parts = {{"expected_error", error},
                                     {"entropy", entropies[best]},
                                     {"density", density[best]},
                                     {"beta", beta}}}});
    }
    const Pick& pick = *std::max_element(proposed.begin(), proposed.end(), [](const Pick& a, const Pick& b) {
      return a.score.value < b.score.value;
    });
    ahead.learn(pick.index, ahead.now.probabilities(ahead.pool.row(static_cast<int64_t>(pick.index))));
    remove_from_inverse(inverse, ahead.pool.n, pick.index);
    std::erase(rest, pick.index);
    picks.push_back(pick);
  }
  return picks;
}

}  // namespace

double adaptive_score(double uncertainty, double density, double beta) {
  return std::pow(uncertainty, beta) * std::pow(density, 1 - beta);
}

constinit const Strategy adaptive_strategy{
    .name = "adaptive",
    .alias = "li_guo",
    .formula = "argmin of the expected error over the argmax of f^b d^(1-b), b = 0.1 ... 1; f entropy, d = I(x; U \\ x)",
    .source = "Li and Guo 2013 (Adaptive Active Learning)",
    .doc =
        "Weighs doubt against how typical an image is, and lets the data say by how much: ten mixtures propose one image "
        "each, and a small classifier retrained with each possible label of each says which would leave the fewest "
        "errors. Slow: for at most 2000 candidates. The value shown is minus the expected error.",
    .needs = {.classification_only = true, .features = true, .labelled = true, .labels = true},
    .compute = [](const Passes& x, const ScoreOptions& o) { return entropy_strategy.compute(x, o); },
    .select = select};

}  // namespace querent::al
