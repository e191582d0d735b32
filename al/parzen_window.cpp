#include "al/parzen_window.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "al/statistics.h"
#include "tensor/error.h"
#include "tensor/ops.h"
#include "tensor/tape.h"

namespace querent::al {
namespace {

constexpr int64_t together = 100;  // rows of x whose distances are in memory at one time

// log((1/M) sum_m exp(-d_m / (2 width^2))), without the constant of the Gaussian.
double log_mean_exp(std::span<const float> distances, double width) {
  const double factor = -0.5 / (width * width), top = factor * *std::ranges::min_element(distances);
  double sum = 0;
  for (const float d : distances) sum += std::exp(factor * static_cast<double>(d) - top);
  return top + std::log(sum / static_cast<double>(distances.size()));
}

}  // namespace

std::vector<std::vector<double>> parzen_log_likelihood(const Tensor& samples, const Tensor& x,
                                                       std::span<const double> widths) {
  check(samples.rank() == 2 && x.rank() == 2 && samples.dim(1) == x.dim(1) && samples.dim(0) > 0,
        "parzen window: samples [M,D] and images [N,D] are needed, got {} and {}", samples, x);
  const NoTape no_tape;
  const auto D = static_cast<double>(x.dim(1));
  const int64_t M = samples.dim(0), N = x.dim(0);
  const Tensor sample_squares = reshape(sum(square(samples), {1}), {1, M});
  std::vector<std::vector<double>> all(widths.size());
  for (int64_t first = 0; first < N; first += together) {
    const Tensor part = x.batch(first, std::min(together, N - first));
    const Tensor products = matmul(part, samples, {.transpose_b = true});
    const Tensor distances = relu(  // rounding may leave a little less than zero
        add(add(scale(products, -2), sum(square(part), {1}, true)), sample_squares));
    const std::vector<float> d = distances.host();
    for (int64_t i = 0; i < part.dim(0); ++i) {
      const auto row = std::span(d).subspan(static_cast<size_t>(i * M), static_cast<size_t>(M));
      for (size_t w = 0; w < widths.size(); ++w)
        all[w].push_back(log_mean_exp(row, widths[w]) - D / 2 * std::log(2 * std::numbers::pi * widths[w] * widths[w]));
    }
  }
  return all;
}

ParzenFit fit_parzen(const Tensor& samples, const Tensor& validation, const Tensor& test,
                     std::span<const double> widths) {
  check(!widths.empty(), "parzen window: there is no width to choose from");
  ParzenFit best;
  double most = -INFINITY;
  const auto on_validation = parzen_log_likelihood(samples, validation, widths);
  for (size_t w = 0; w < widths.size(); ++w) {
    const double mean = summarize(on_validation[w]).mean;
    if (mean > most) most = mean, best.width = widths[w];
  }
  const Summary s = summarize(parzen_log_likelihood(samples, test, std::span(&best.width, 1))[0]);
  best.log_likelihood = s.mean;
  best.error = s.sd / std::sqrt(static_cast<double>(s.n));
  return best;
}

}  // namespace querent::al
