// Core-set selection (Sener and Savarese 2018), greedy k-centre: the next image is the one farthest from everything
// labelled or taken,
//
//   argmax_i min_{j labelled or taken} |h_i - h_j|
//
// which covers the pool with balls whose radius is at most twice the best possible (Gonzalez 1985). With nothing
// labelled the first is the candidate nearest to the mean of the pool.
#include <algorithm>
#include <cmath>
#include <limits>

#include "al/selection/family.h"

namespace querent::al {

std::vector<Centre> k_centre_greedy(const Points& candidates, const Points& labelled, int64_t k) {
  const auto n = static_cast<size_t>(candidates.n);
  std::vector<double> nearest(n, std::numeric_limits<double>::infinity());  // squared
  const auto cover = [&](std::span<const double> centre) {
#pragma omp parallel for schedule(static) if (n >= worth_threads)
    for (size_t i = 0; i < n; ++i)
      nearest[i] = std::min(nearest[i], squared_distance(candidates.row(static_cast<int64_t>(i)), centre));
  };
  std::vector<Centre> centres;
  if (labelled.n == 0 && n > 0 && k > 0) {
    std::vector<double> mean(static_cast<size_t>(candidates.d), 0.0), to_mean;
    for (int64_t i = 0; i < candidates.n; ++i)
      for (size_t j = 0; j < mean.size(); ++j) mean[j] += candidates.row(i)[j] / static_cast<double>(n);
    for (int64_t i = 0; i < candidates.n; ++i) to_mean.push_back(squared_distance(candidates.row(i), mean));
    const auto first = std::min_element(to_mean.begin(), to_mean.end());
    centres.push_back({static_cast<size_t>(first - to_mean.begin()), std::sqrt(*first)});
  }
  for (int64_t j = 0; j < labelled.n; ++j) cover(labelled.row(j));
  while (static_cast<int64_t>(centres.size()) < std::min<int64_t>(k, candidates.n)) {
    if (!centres.empty()) {
      cover(candidates.row(static_cast<int64_t>(centres.back().index)));
      nearest[centres.back().index] = -1;  // never twice, even among copies
    }
    const auto farthest = std::max_element(nearest.begin(), nearest.end());
    centres.push_back({static_cast<size_t>(farthest - nearest.begin()), std::sqrt(*farthest)});
  }
  return centres;
}

namespace {

std::vector<Pick> select(const PoolView& view, int64_t k, const ScoreOptions&) {
  std::vector<Pick> picks;
  for (const Centre& c : k_centre_greedy(candidate_points(view), labelled_points(view), k))
    picks.push_back({c.index, {.value = c.distance, .group = 0, .parts = {{"distance", c.distance}}}});
  return picks;
}

}  // namespace

constinit const Strategy coreset_strategy{
    .name = "coreset",
    .alias = "k_centre",
    .formula = "greedy max of min_j |h_i - h_j|,  j labelled or taken, h = penultimate features",
    .source = "Sener and Savarese 2018; greedy k-centre: Gonzalez 1985",
    .doc =
        "Asks for the image least like anything labelled, as the network sees it, so that no part of the pool stays "
        "far "
        "from a label. Ignores uncertainty, and outliers come first. For segmentation the features are the averaged "
        "bottleneck.",
    .needs = {.model = false, .features = true, .labelled = true},
    .select = select};

}  // namespace querent::al
