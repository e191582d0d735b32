#include "al/selective.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tensor/error.h"

namespace querent::al {
namespace {

void check_pairs(std::span<const double> a, std::span<const double> b) {
  check(!a.empty() && a.size() == b.size(), "selective prediction: needs pairs, got {} errors and {} uncertainties",
        a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i)
    check(std::isfinite(a[i]) && std::isfinite(b[i]), "selective prediction: case {} has error {} and uncertainty {}",
          i, a[i], b[i]);
}

std::vector<size_t> ascending(std::span<const double> v) {
  std::vector<size_t> order(v.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t i, size_t j) { return v[i] < v[j]; });
  return order;
}

// Calls use(first, last) for every run of equal values in `order`.
template <class Use>
void for_ties(std::span<const double> v, const std::vector<size_t>& order, const Use& use) {
  for (size_t first = 0, last = 0; first < order.size(); first = last) {
    while (last < order.size() && v[order[last]] == v[order[first]]) ++last;
    use(first, last);
  }
}

// Errors, surest case first.
std::vector<double> by_uncertainty(std::span<const double> error, std::span<const double> uncertainty) {
  const std::vector<size_t> order = ascending(uncertainty);
  std::vector<double> sorted(error.size());
  for_ties(uncertainty, order, [&](size_t first, size_t last) {
    double sum = 0;
    for (size_t k = first; k < last; ++k) sum += error[order[k]];
    for (size_t k = first; k < last; ++k) sorted[k] = sum / static_cast<double>(last - first);
  });
  return sorted;
}

std::vector<double> running_mean(const std::vector<double>& v) {
  std::vector<double> mean;
  double sum = 0;
  for (const double x : v) mean.push_back((sum += x) / static_cast<double>(mean.size() + 1));
  return mean;
}
double mean_of_all(const std::vector<double>& v) { return running_mean(v).back(); }

std::vector<double> ranks(std::span<const double> v) {
  const std::vector<size_t> order = ascending(v);
  std::vector<double> rank(v.size());
  for_ties(v, order, [&](size_t first, size_t last) {
    for (size_t k = first; k < last; ++k) rank[order[k]] = static_cast<double>(first + last - 1) / 2;
  });
  return rank;
}

}  // namespace

RiskCoverage risk_coverage(std::span<const double> error, std::span<const double> uncertainty) {
  check_pairs(error, uncertainty);
  RiskCoverage r;
  r.risk = running_mean(by_uncertainty(error, uncertainty));
  r.area = mean_of_all(r.risk);
  r.ideal = mean_of_all(running_mean(by_uncertainty(error, error)));
  return r;
}

std::vector<UncertaintyGroup> error_by_uncertainty(std::span<const double> error, std::span<const double> uncertainty,
                                                   int64_t groups) {
  check_pairs(error, uncertainty);
  const std::vector<double> errors = by_uncertainty(error, uncertainty),
                            doubts = by_uncertainty(uncertainty, uncertainty);
  const size_t n = errors.size(), parts = std::min(static_cast<size_t>(std::max<int64_t>(1, groups)), n);
  std::vector<UncertaintyGroup> all;
  for (size_t g = 0; g < parts; ++g) {
    UncertaintyGroup& group = all.emplace_back();
    for (size_t k = g * n / parts; k < (g + 1) * n / parts; ++k, ++group.count) {
      group.uncertainty += doubts[k];
      group.error += errors[k];
    }
    group.uncertainty /= static_cast<double>(group.count);
    group.error /= static_cast<double>(group.count);
  }
  return all;
}

double rank_correlation(std::span<const double> a, std::span<const double> b) {
  check_pairs(a, b);
  const std::vector<double> x = ranks(a), y = ranks(b);
  const double middle = static_cast<double>(x.size() - 1) / 2;
  double xy = 0, xx = 0, yy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - middle) * (y[i] - middle);
    xx += (x[i] - middle) * (x[i] - middle);
    yy += (y[i] - middle) * (y[i] - middle);
  }
  return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : 0;
}

}  // namespace querent::al
