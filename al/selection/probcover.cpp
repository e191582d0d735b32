// ProbCover (Yehuda, Dekel, Hacohen and Weinshall 2022, "Active Learning Through a Covering Lens"): balls of radius
// delta around the labelled images should hold as much of the pool as possible. Greedy maximum coverage:
//
//   argmax_i #{ j not covered yet : |h_i - h_j| < delta }
//
// delta is the largest radius at which 95 % of the balls are pure, that is hold points of one cluster only; the
// clusters are k-means with as many parts as there are classes (2 for segmentation). With r_j the distance from j to
// the nearest point of another cluster, that is the 5 % quantile of r: no search over radii is needed. Features have
// unit length, as in the paper. Once everything is covered the order is the seeded one of equals: random.
//
// Distances are computed when they are needed: N^2 D operations, and N numbers of memory instead of a graph.
#include <algorithm>
#include <cmath>
#include <limits>

#include "al/selection/family.h"
#include "tensor/error.h"

namespace querent::al {
namespace {

constexpr double wanted_purity = 0.95;

}  // namespace

double purity_radius(const Points& points, std::span<const int64_t> cluster, double purity) {
  check(purity > 0 && purity <= 1, "probcover: the purity must be in (0, 1], got {}", purity);
  const auto n = static_cast<size_t>(points.n);
  std::vector<double> other(n, std::numeric_limits<double>::infinity());
#pragma omp parallel for schedule(static) if (n >= worth_threads)
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j)
      if (cluster[i] != cluster[j])
        other[i] = std::min(other[i],
                            squared_distance(points.row(static_cast<int64_t>(i)), points.row(static_cast<int64_t>(j))));
  const auto impure = static_cast<size_t>((1 - purity) * static_cast<double>(n) + 1e-9);  // balls allowed to be impure
  std::sort(other.begin(), other.end());
  return n == 0 ? 0 : std::sqrt(other[std::min(impure, n - 1)]);
}

std::vector<Cover> probcover(const Points& points, int64_t candidates, double radius, int64_t k) {
  const auto n = static_cast<size_t>(points.n);
  const auto in_ball = [&](size_t a, size_t b) {  // its own ball always holds a point
    return a == b || std::sqrt(squared_distance(points.row(static_cast<int64_t>(a)),
                                                points.row(static_cast<int64_t>(b)))) < radius;
  };
  std::vector<uint8_t> covered(n, 0), taken(n, 0);
  std::vector<int64_t> gain(n, 0);  // uncovered points in the ball of each
#pragma omp parallel for schedule(static) if (n >= worth_threads)
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j) gain[i] += in_ball(i, j);
  const auto cover = [&](size_t centre) {
    for (size_t j = 0; j < n; ++j) {
      if (covered[j] || !in_ball(centre, j)) continue;
      covered[j] = 1;
#pragma omp parallel for schedule(static) if (n >= worth_threads)
      for (size_t i = 0; i < n; ++i) gain[i] -= in_ball(i, j);
    }
  };
  for (size_t j = static_cast<size_t>(candidates); j < n; ++j) cover(j);  // the labelled ones
  std::vector<Cover> picks;
  while (static_cast<int64_t>(picks.size()) < std::min(k, candidates)) {
    size_t best = n;
    for (size_t i = 0; i < static_cast<size_t>(candidates); ++i)
      if (!taken[i] && (best == n || gain[i] > gain[best])) best = i;
    picks.push_back({best, gain[best]});
    taken[best] = 1;
    cover(best);
  }
  return picks;
}

namespace {

std::vector<Pick> select(const PoolView& view, int64_t k, const ScoreOptions& o) {
  const Points points = clustering_points(view);
  const std::vector<int64_t> cluster =
      seeded_clusters(points, std::max<int64_t>(2, view.classes), draws_of(view, o, "probcover"));
  const double radius = purity_radius(points, cluster, wanted_purity);
  std::vector<Pick> picks;
  for (const Cover& c : probcover(points, static_cast<int64_t>(view.cases.size()), radius, k))
    picks.push_back({c.index,
                     {.value = static_cast<double>(c.newly_covered),
                      .group = 0,
                      .parts = {{"newly_covered", static_cast<double>(c.newly_covered)},
                                {"radius", std::isfinite(radius) ? radius : 2}}}});  // 2: the whole unit sphere
  return picks;
}

}  // namespace

constinit const Strategy probcover_strategy{
    .name = "probcover",
    .alias = "",
    .formula = "greedy max of #{j not covered : |h_i - h_j| < delta},  delta = largest radius with 95 % pure balls",
    .source = "Yehuda et al. 2022 (ProbCover)",
    .doc =
        "Asks for the image with the most neighbours that are not near any label yet: dense regions first, for the "
        "first few labels. The value shown is the number of images it newly covers.",
    .needs = {.model = false, .features = true, .labelled = true},
    .select = select};

}  // namespace querent::al
