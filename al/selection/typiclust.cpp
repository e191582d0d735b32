// TypiClust (Hacohen, Dekel and Weinshall 2022, "Active Learning on a Budget: Opposite Strategies Suit High and Low
// Budgets"): cluster everything into as many parts as there will be labels, and from the largest clusters without a
// label take the most typical image,
//
//   typicality(x) = ( (1/K) sum_{K nearest} |h_x - h_j| )^-1,  K = 20 neighbours inside the cluster
//
// Features have unit length and clusters are k-means, as in the paper; clusters of at most 5 are passed over while
// there are larger ones, as in the authors' code.
#include <algorithm>
#include <cmath>
#include <map>

#include "al/selection/family.h"

namespace querent::al {
namespace {

constexpr int64_t most_clusters = 500, nearest_neighbours = 20, small_cluster = 5;
constexpr double closest = 1e-12;  // copies of one image: typical without bound, kept finite

}  // namespace

std::vector<double> typicality(const Points& points, std::span<const size_t> members, int64_t neighbours) {
  std::vector<double> result(members.size(), 1.0);  // alone: nothing to compare with
  const auto K = static_cast<size_t>(std::min(neighbours, static_cast<int64_t>(members.size()) - 1));
  if (members.size() < 2 || neighbours < 1) return result;
#pragma omp parallel for schedule(static) if (members.size() >= worth_threads)
  for (size_t a = 0; a < members.size(); ++a) {
    std::vector<double> distance;
    for (size_t b = 0; b < members.size(); ++b)
      if (a != b)
        distance.push_back(std::sqrt(squared_distance(points.row(static_cast<int64_t>(members[a])),
                                                      points.row(static_cast<int64_t>(members[b])))));
    std::partial_sort(distance.begin(), distance.begin() + static_cast<ptrdiff_t>(K), distance.end());
    double sum = 0;
    for (size_t i = 0; i < K; ++i) sum += distance[i];
    result[a] = 1 / std::max(sum / static_cast<double>(K), closest);
  }
  return result;
}

std::vector<Typical> typiclust(const Points& points, int64_t candidates, std::span<const int64_t> cluster, int64_t k) {
  struct Cluster {
    int64_t size = 0, labelled = 0;
    std::vector<size_t> left;  // candidates not taken yet
  };
  std::map<int64_t, Cluster> by_name;
  for (int64_t i = 0; i < points.n; ++i) {
    Cluster& c = by_name[cluster[static_cast<size_t>(i)]];
    ++c.size;
    if (i < candidates)
      c.left.push_back(static_cast<size_t>(i));
    else
      ++c.labelled;
  }
  std::vector<Cluster> order;
  for (auto& [name, c] : by_name) order.push_back(std::move(c));
  std::stable_sort(order.begin(), order.end(), [](const Cluster& a, const Cluster& b) {
    const bool small_a = a.size <= small_cluster, small_b = b.size <= small_cluster;
    if (small_a != small_b) return small_b;
    return a.labelled != b.labelled ? a.labelled < b.labelled : a.size > b.size;
  });
  std::vector<Typical> taken;
  const auto take_turns = [&](bool small) {  // one from each cluster in turn until they are empty
    for (bool any = true; any;) {
      any = false;
      for (Cluster& c : order) {
        if (static_cast<int64_t>(taken.size()) >= k) return;
        if (c.left.empty() || (c.size <= small_cluster) != small) continue;
        const std::vector<double> t = typicality(points, c.left, nearest_neighbours);
        const auto best = std::max_element(t.begin(), t.end()) - t.begin();
        taken.push_back({c.left[static_cast<size_t>(best)], t[static_cast<size_t>(best)], c.size, c.labelled});
        c.left.erase(c.left.begin() + best);
        any = true;
      }
    }
  };
  take_turns(false);
  take_turns(true);
  return taken;
}

namespace {

std::vector<Pick> select(const PoolView& view, int64_t k, const ScoreOptions& o) {
  const Points points = clustering_points(view);
  const auto candidates = static_cast<int64_t>(view.cases.size());
  const auto count = std::min<int64_t>(static_cast<int64_t>(view.labelled.size()) + k, most_clusters);
  const std::vector<int64_t> cluster = seeded_clusters(points, count, draws_of(view, o, "typiclust"));
  std::vector<Pick> picks;
  for (const Typical& t : typiclust(points, candidates, cluster, k))
    picks.push_back({t.index,
                     {.value = t.typicality,
                      .group = 0,
                      .parts = {{"typicality", t.typicality},
                                {"cluster_size", static_cast<double>(t.cluster_size)},
                                {"cluster_labelled", static_cast<double>(t.cluster_labelled)}}}});
  return picks;
}

}  // namespace

constinit const Strategy typiclust_strategy{
    .name = "typiclust",
    .alias = "",
    .formula = "max of 1 / mean distance to 20 neighbours, in the largest of L + k clusters without a label",
    .source = "Hacohen, Dekel and Weinshall 2022 (TypiClust)",
    .doc =
        "Asks for ordinary images of each kind: strong when there are few labels, where doubt is a poor guide because "
        "the model knows nothing yet. Ignores uncertainty.",
    .needs = {.model = false, .features = true, .labelled = true},
    .select = select};

}  // namespace querent::al
