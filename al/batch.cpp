#include "al/batch.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "al/selection.h"
#include "al/selection/family.h"
#include "tensor/error.h"
#include "tensor/rng.h"

namespace querent::al {
namespace {

void check_feature(std::span<const float> feature, size_t size, std::string_view whose) {
  check(!feature.empty() && feature.size() == size, "selection: {} has {} features, the first candidate has {}", whose,
        feature.size(), size);
  for (size_t i = 0; i < feature.size(); ++i)
    check(std::isfinite(feature[i]), "selection: {} has a feature of {} at index {}; the model has diverged", whose,
          feature[i], i);
}

void check_view(const Strategy& s, const PoolView& view) {
  if (view.cases.empty()) return;
  if (s.needs.probabilities)
    for (const PoolCase& c : view.cases) check_passes(s, classification_passes(c.id, view.passes, view.classes, c.p));
  check(!s.needs.labels || view.labelled_class.size() == view.labelled.size(),
        "selection: {} needs the class of each of the {} labelled images, got {}", s.name, view.labelled.size(),
        view.labelled_class.size());
  for (const int64_t c : view.labelled_class)
    check(c >= 0 && c < view.classes, "selection: a labelled image has class {} of {}", c, view.classes);
  check(!s.needs.losses || view.labelled_loss.size() == view.labelled.size(),
        "selection: {} needs the loss of each of the {} labelled images, got {}", s.name, view.labelled.size(),
        view.labelled_loss.size());
  for (size_t i = 0; i < view.labelled_loss.size(); ++i)
    check(std::isfinite(view.labelled_loss[i]), "selection: labelled image {} has a loss of {}; the model has diverged",
          i, view.labelled_loss[i]);
  if (!s.needs.features) return;
  const size_t size = view.cases.front().feature.size();
  const int64_t channels = std::accumulate(view.stages.begin(), view.stages.end(), int64_t{0});
  check(!s.needs.stages || channels == static_cast<int64_t>(size),
        "selection: {} needs the averages of all stages, {} in all, got {} features", s.name, channels, size);
  for (const PoolCase& c : view.cases) check_feature(c.feature, size, text("case '{}'", c.id));
  for (size_t i = 0; i < view.labelled.size(); ++i) check_feature(view.labelled[i], size, text("labelled image {}", i));
}

Points points_of(int64_t n, const auto& feature) {
  Points p{n, n > 0 ? static_cast<int64_t>(feature(0).size()) : 0, {}};
  p.x.reserve(static_cast<size_t>(p.n * p.d));
  for (int64_t i = 0; i < n; ++i) p.x.insert(p.x.end(), feature(i).begin(), feature(i).end());
  return p;
}

}  // namespace

Points candidate_points(const PoolView& view) {
  return points_of(
      static_cast<int64_t>(view.cases.size()), [&](int64_t i) -> const auto& {
        return view.cases[static_cast<size_t>(i)].feature;
      });
}
Points labelled_points(const PoolView& view) {
  return points_of(
      static_cast<int64_t>(view.labelled.size()), [&](int64_t i) -> const auto& {
        return view.labelled[static_cast<size_t>(i)];
      });
}

Points clustering_points(const PoolView& view) {
  return unit_length(joined(candidate_points(view), labelled_points(view)));
}

Draw draws_of(const PoolView& view, const ScoreOptions& o, std::string_view name) {
  std::vector<Rng> streams;
  for (const PoolCase& c : view.cases) streams.push_back(Rng(o.seed).fork(name).fork(c.id));
  for (uint64_t i = 0; i < view.labelled.size(); ++i)
    streams.push_back(Rng(o.seed).fork(name).fork("labelled").fork(i));
  return [streams = std::move(streams)](size_t i, int64_t step) {
    return streams[i].fork(static_cast<uint64_t>(step)).uniform();
  };
}

std::vector<size_t> descending(std::span<const double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] > values[b]; });
  return order;
}

std::vector<Pick> choose(const Strategy& s, PoolView view, int64_t k, const ScoreOptions& o) {
  // top_k also checks k, the ids and the scores, and gives the order of equals: with all scores equal, of everything.
  std::vector<Candidate> pool;
  for (const PoolCase& c : view.cases) pool.push_back({c.id, s.select ? 0 : c.score.value, c.score.group});
  if (!s.select) {
    std::vector<Pick> picks;
    for (const size_t i : s.needs.stratify ? top_k_stratified(pool, k, o.seed) : top_k(pool, k, o.seed))
      picks.push_back({i, view.cases[i].score});
    return picks;
  }
  check(k >= 0, "selection: cannot ask for {} images", k);
  if (k == 0) return {};
  check_view(s, view);
  const std::vector<size_t> order = top_k(pool, std::max(k, static_cast<int64_t>(pool.size())), o.seed);
  PoolView sorted{view.passes, view.classes, {}, std::move(view.labelled), std::move(view.labelled_class),
                  std::move(view.labelled_loss), std::move(view.stages)};
  for (const size_t i : order) sorted.cases.push_back(std::move(view.cases[i]));
  std::vector<Pick> picks = s.select(sorted, std::min(k, static_cast<int64_t>(order.size())), o);
  for (Pick& pick : picks) {
    check(std::isfinite(pick.score.value), "selection: {} gives case '{}' a value of {}; the model has diverged",
          s.name, sorted.cases[pick.index].id, pick.score.value);
    pick.score.group = sorted.cases[pick.index].score.group;
    pick.index = order[pick.index];
  }
  return picks;
}

}  // namespace querent::al
