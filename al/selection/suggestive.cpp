// Suggestive annotation (Yang, Zhang, Chen, Zhang and Chen 2017): of the K images the committee is least sure about, the k
// that best stand for all unlabelled images,
//
//   u_i = mean over pixels of the standard deviation over the committee,  S_c = the K = 2 k largest
//   greedy max over S_a in S_c of F(S_a) = sum_{j unlabelled} max_{i in S_a} cos(h_i, h_j)
//
// F is monotone and submodular, so greedy has at least 1 - 1/e of the best possible. The paper's K = 16 and k = 8, four
// networks trained on resampled labels and, as h, the channel means of the deepest feature map. Here the first of the four
// is the one that is measured, trained on the labels as they are, and h comes from it alone.
#include <algorithm>
#include <numeric>

#include "al/acquisition/family.h"
#include "al/selection/family.h"

namespace querent::al {
namespace {

constexpr int64_t uncertain_per_pick = 2;

}  // namespace

std::vector<Representative> maximum_cover(const Points& points, std::span<const size_t> candidates, int64_t k) {
  const Points unit = unit_length(points);
  const auto n = static_cast<size_t>(unit.n);
  std::vector<std::vector<double>> similarity(candidates.size(), std::vector<double>(n));
  for (size_t c = 0; c < candidates.size(); ++c) {
    const auto row = unit.row(static_cast<int64_t>(candidates[c]));
    for (size_t j = 0; j < n; ++j)
      similarity[c][j] = std::inner_product(row.begin(), row.end(), unit.row(static_cast<int64_t>(j)).begin(), 0.0);
  }
  std::vector<double> covered(n, 0.0);  // max over those taken
  std::vector<uint8_t> taken(candidates.size(), 0);
  std::vector<Representative> picks;
  while (static_cast<int64_t>(picks.size()) < std::min(k, static_cast<int64_t>(candidates.size()))) {
    size_t best = candidates.size();
    double most = -1;
    for (size_t c = 0; c < candidates.size(); ++c) {
      double gain = 0;
      for (size_t j = 0; j < n; ++j) gain += std::max(0.0, similarity[c][j] - covered[j]);
      if (!taken[c] && gain > most) best = c, most = gain;
    }
    taken[best] = 1;
    for (size_t j = 0; j < n; ++j) covered[j] = std::max(covered[j], similarity[best][j]);
    picks.push_back({candidates[best], most});
  }
  return picks;
}

namespace {

std::vector<Pick> select(const PoolView& view, int64_t k, const ScoreOptions&) {
  std::vector<double> uncertainty;
  for (const PoolCase& c : view.cases) uncertainty.push_back(c.score.value);
  std::vector<size_t> candidates = descending(uncertainty);
  candidates.resize(std::min(candidates.size(), static_cast<size_t>(uncertain_per_pick * k)));
  std::vector<Pick> picks;
  for (const Representative& r : maximum_cover(candidate_points(view), candidates, k))
    picks.push_back({r.index,
                     {.value = r.gain,
                      .group = 0,
                      .parts = {{"representativeness", r.gain}, {"uncertainty", uncertainty[r.index]}}}});
  return picks;
}

}  // namespace

constinit const Strategy suggestive_annotation_strategy{
    .name = "suggestive_annotation",
    .alias = "suggestive",
    .formula = "greedy max of sum_j max_{i taken} cos(h_i, h_j) among the 2 k largest mean standard deviations",
    .source = "Yang et al. 2017 (Suggestive Annotation)",
    .doc =
        "First the images on which the networks disagree, then those of them that stand for most of the pool: doubtful "
        "and typical, and not twice the same. The committee has four networks, three of them trained on labels drawn with "
        "replacement, so a round takes four trainings; --ensemble 2 makes it smaller. The value shown is the similarity to "
        "the pool that the image adds.",
    .needs = {.several_passes = true, .features = true, .committee = 4},
    .compute = [](const Passes& x, const ScoreOptions& o) { return mean_std_strategy.compute(x, o); },
    .select = select};

}  // namespace querent::al
