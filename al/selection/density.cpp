// Information density (Settles and Craven 2008): uncertainty, weighted by how typical the image is of the pool,
//
//   phi_i = H_i * ( (1/N) sum_j cos(h_i, h_j) )^beta
//
// so that an outlier does not win by being strange. The mean cosine is the dot product with the mean unit vector, so N
// images cost N D and not N^2 D.
#include <algorithm>
#include <cmath>

#include "al/acquisition/family.h"
#include "al/selection/family.h"
#include "tensor/error.h"

namespace querent::al {

std::vector<double> information_density(const Points& points) {
  const Points unit = unit_length(points);
  std::vector<double> mean(static_cast<size_t>(points.d), 0.0), density;
  for (int64_t i = 0; i < unit.n; ++i)
    for (size_t j = 0; j < mean.size(); ++j) mean[j] += unit.row(i)[j] / static_cast<double>(unit.n);
  for (int64_t i = 0; i < unit.n; ++i) {
    double sum = 0;
    for (size_t j = 0; j < mean.size(); ++j) sum += unit.row(i)[j] * mean[j];
    density.push_back(std::max(0.0, sum));
  }
  return density;
}

namespace {

std::vector<Pick> select(const PoolView& view, int64_t k, const ScoreOptions& o) {
  check(o.beta >= 0 && std::isfinite(o.beta), "acquisition: beta must be at least 0, got {}", o.beta);
  const std::vector<double> density = information_density(candidate_points(view));
  std::vector<double> value;
  for (size_t i = 0; i < density.size(); ++i) value.push_back(view.cases[i].score.value * std::pow(density[i], o.beta));
  std::vector<Pick> picks;
  for (const size_t i : descending(value)) {
    if (static_cast<int64_t>(picks.size()) == k) break;
    picks.push_back(
        {i,
         {.value = value[i], .group = 0, .parts = {{"entropy", view.cases[i].score.value}, {"density", density[i]}}}});
  }
  return picks;
}

}  // namespace

constinit const Strategy information_density_strategy{
    .name = "information_density",
    .alias = "density",
    .formula = "H(mean_t p_t) * (mean_j cos(h_i, h_j))^beta,  beta = 1, h = penultimate features",
    .source = "Settles and Craven 2008; Settles 2010 (survey)",
    .doc =
        "Predictive entropy, weighted by how much the image resembles the rest of the pool: doubt about a common kind "
        "of image before doubt about an oddity.",
    .needs = {.features = true},
    .compute = [](const Passes& x, const ScoreOptions& o) { return entropy_strategy.compute(x, o); },
    .select = select};

}  // namespace querent::al
