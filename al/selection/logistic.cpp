// Multinomial logistic regression with soft targets, for selectors that ask what one more label would change.
#include <algorithm>
#include <cmath>

#include "al/selection/family.h"

namespace querent::al {
namespace {

constexpr int64_t most_iterations = 500;
constexpr double flat = 1e-7;  // largest entry of the gradient at which the fit is done

}  // namespace

std::vector<double> LogisticRegression::probabilities(std::span<const double> x) const {
  std::vector<double> p(static_cast<size_t>(classes));
  for (size_t c = 0; c < p.size(); ++c) {
    const double* row = weights.data() + c * (x.size() + 1);
    p[c] = row[x.size()];
    for (size_t d = 0; d < x.size(); ++d) p[c] += row[d] * x[d];
  }
  const double top = *std::max_element(p.begin(), p.end());
  double sum = 0;
  for (double& v : p) sum += v = std::exp(v - top);
  for (double& v : p) v /= sum;
  return p;
}

// Nesterov's accelerated gradient. The softmax's Hessian is at most 1/2, and |(x, 1)|^2 <= 2 for points of unit length,
// which bounds the curvature of the mean loss by 1.
void LogisticRegression::fit(const Points& x, std::span<const double> targets) {
  const auto D = static_cast<size_t>(x.d), C = static_cast<size_t>(classes), n = static_cast<size_t>(x.n);
  weights.resize(C * (D + 1), 0.0);
  if (n == 0) return;
  const double decay = 1 / static_cast<double>(n), step = 1 / (1 + decay);
  std::vector<double> gradient(weights.size()), before = weights;
  LogisticRegression at{classes, weights};
  double momentum = 1;
  for (int64_t iteration = 0; iteration < most_iterations; ++iteration) {
    for (size_t k = 0; k < gradient.size(); ++k) gradient[k] = k % (D + 1) == D ? 0 : decay * at.weights[k];
    for (size_t i = 0; i < n; ++i) {
      const auto row = x.row(static_cast<int64_t>(i));
      const std::vector<double> p = at.probabilities(row);
      for (size_t c = 0; c < C; ++c) {
        const double residual = (p[c] - targets[i * C + c]) * decay;
        for (size_t d = 0; d < D; ++d) gradient[c * (D + 1) + d] += residual * row[d];
        gradient[c * (D + 1) + D] += residual;
      }
    }
    double largest = 0;
    for (const double g : gradient) largest = std::max(largest, std::abs(g));
    for (size_t k = 0; k < weights.size(); ++k) weights[k] = at.weights[k] - step * gradient[k];
    if (largest < flat) return;
    const double next = (1 + std::sqrt(1 + 4 * momentum * momentum)) / 2;
    for (size_t k = 0; k < weights.size(); ++k)
      at.weights[k] = weights[k] + (momentum - 1) / next * (weights[k] - before[k]);
    before = weights, momentum = next;
  }
}

}  // namespace querent::al
