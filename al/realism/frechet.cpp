#include "al/realism/frechet.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "al/realism/eigen.h"
#include "data/parallel.h"
#include "tensor/error.h"
#include "tensor/rng.h"

namespace querent::al {
namespace {

void check_rows(const FeatureMatrix& x) {
  check(x.n >= 2, "frechet: a covariance needs at least 2 films, got {}", x.n);
}

double dot(const double* a, const double* b, size_t n) { return std::inner_product(a, a + n, b, 0.0); }

double sum_of_roots(std::span<const double> matrix, int64_t d) {
  double sum = 0;
  for (const double v : symmetric_eigen(matrix, d, false).values) sum += std::sqrt(std::max(0.0, v));
  return sum;
}

std::vector<double> mean_of(const FeatureMatrix& x) {
  std::vector<double> mean(static_cast<size_t>(x.d), 0.0);
  for (int64_t i = 0; i < x.n; ++i)
    for (size_t k = 0; k < mean.size(); ++k) mean[k] += x.row(i)[k] / static_cast<double>(x.n);
  return mean;
}

FeatureMatrix centred(const FeatureMatrix& x, std::span<const double> mean) {
  FeatureMatrix c = x;
  for (size_t i = 0; i < c.values.size(); ++i) c.values[i] -= mean[i % mean.size()];
  return c;
}

double square_distance(std::span<const double> a, std::span<const double> b) {
  double sum = 0;
  for (size_t k = 0; k < a.size(); ++k) sum += (a[k] - b[k]) * (a[k] - b[k]);
  return sum;
}

// The singular values of M = A B^T, A of fewer rows, are the roots of the eigenvalues of M M^T.
double nuclear_norm(const FeatureMatrix& a, const FeatureMatrix& b) {
  if (a.n > b.n) return nuclear_norm(b, a);
  const auto n = static_cast<size_t>(a.n), m = static_cast<size_t>(b.n), d = static_cast<size_t>(a.d);
  std::vector<double> product(n * m), square(n * n);
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < m; ++j) product[i * m + j] = dot(&a.values[i * d], &b.values[j * d], d);
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j <= i; ++j) square[i * n + j] = dot(&product[i * m], &product[j * m], m);
  return sum_of_roots(square, a.n);
}

double trace(const FeatureMatrix& centred) {
  return dot(centred.values.data(), centred.values.data(), centred.values.size()) / static_cast<double>(centred.n - 1);
}

double distance_by_films(const FeatureMatrix& x, const FeatureMatrix& y) {
  const std::vector<double> mx = mean_of(x), my = mean_of(y);
  const FeatureMatrix a = centred(x, mx), b = centred(y, my);
  const double cross = nuclear_norm(a, b) / std::sqrt(static_cast<double>((x.n - 1) * (y.n - 1)));
  return std::max(0.0, square_distance(mx, my) + trace(a) + trace(b) - 2 * cross);
}

}  // namespace

Gaussian fit_gaussian(const FeatureMatrix& x) {
  check_rows(x);
  Gaussian g{mean_of(x), {}};
  const auto d = static_cast<size_t>(x.d);
  g.covariance.assign(d * d, 0.0);
  const FeatureMatrix c = centred(x, g.mean);
  for (int64_t i = 0; i < x.n; ++i) {
    const double* row = c.row(i).data();
    for (size_t k = 0; k < d; ++k)
      for (size_t l = 0; l < d; ++l) g.covariance[k * d + l] += row[k] * row[l];
  }
  for (double& v : g.covariance) v /= static_cast<double>(x.n - 1);
  return g;
}

double frechet_distance(const Gaussian& a, const Gaussian& b) {
  const size_t d = a.mean.size();
  check(d > 0 && b.mean.size() == d && a.covariance.size() == d * d && b.covariance.size() == d * d,
        "frechet: Gaussians of {} and {} features with covariances of {} and {} numbers do not fit", d, b.mean.size(),
        a.covariance.size(), b.covariance.size());
  const std::vector<double> root = symmetric_root(a.covariance, static_cast<int64_t>(d));
  std::vector<double> half(d * d, 0.0), product(d * d, 0.0);  // S2 S1^{1/2}, S1^{1/2} S2 S1^{1/2}
  const auto multiply = [d](const std::vector<double>& p, const std::vector<double>& q, std::vector<double>& to) {
    for (size_t i = 0; i < d; ++i)
      for (size_t k = 0; k < d; ++k)
        for (size_t j = 0; j < d; ++j) to[i * d + j] += p[i * d + k] * q[k * d + j];
  };
  multiply(b.covariance, root, half);
  multiply(root, half, product);
  double traces = 0;
  for (size_t k = 0; k < d; ++k) traces += a.covariance[k * d + k] + b.covariance[k * d + k];
  const double cross = sum_of_roots(product, static_cast<int64_t>(d));
  return std::max(0.0, square_distance(a.mean, b.mean) + traces - 2 * cross);
}

double frechet_distance(const FeatureMatrix& x, const FeatureMatrix& y) {
  check_rows(x);
  check_rows(y);
  check(x.d == y.d, "frechet: sets of {} and {} features cannot be compared", x.d, y.d);
  return std::min(x.n, y.n) <= x.d ? distance_by_films(x, y) : frechet_distance(fit_gaussian(x), fit_gaussian(y));
}

Interval frechet_interval(const FeatureMatrix& x, std::span<const int64_t> x_groups, const FeatureMatrix& y,
                          std::span<const int64_t> y_groups, uint64_t seed, int64_t resamples, double level) {
  check(static_cast<int64_t>(x_groups.size()) == x.n && static_cast<int64_t>(y_groups.size()) == y.n,
        "frechet: {} and {} groups for {} and {} films", x_groups.size(), y_groups.size(), x.n, y.n);
  const auto x_members = members(x_groups), y_members = members(y_groups);
  check(std::min(x_members.size(), y_members.size()) >= 2 && resamples >= 2,
        "frechet: a bootstrap needs at least 2 groups of films in each set and 2 resamples, got {}, {} and {}",
        x_members.size(), y_members.size(), resamples);
  const auto redraw = [](const FeatureMatrix& all, const std::vector<std::vector<size_t>>& groups, Rng rng) {
    std::vector<int64_t> rows;
    for (size_t g = 0; g < groups.size(); ++g) {
      const auto& drawn = groups[static_cast<size_t>(rng.below(static_cast<int64_t>(groups.size())))];
      rows.insert(rows.end(), drawn.begin(), drawn.end());
    }
    return all.take(rows);
  };
  std::vector<double> found(static_cast<size_t>(resamples));
  const Rng base = Rng(seed).fork("frechet");
  data::parallel_for(resamples, [&](int64_t r) {
    const Rng rng = base.fork(static_cast<uint64_t>(r));
    found[static_cast<size_t>(r)] =
        frechet_distance(redraw(x, x_members, rng.fork("x")), redraw(y, y_members, rng.fork("y")));
  });
  std::sort(found.begin(), found.end());
  const double twice = 2 * frechet_distance(x, y);
  return {std::max(0.0, twice - quantile(found, (1 + level) / 2)),
          std::max(0.0, twice - quantile(found, (1 - level) / 2))};
}

}  // namespace querent::al
