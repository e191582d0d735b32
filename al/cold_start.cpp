#include "al/cold_start.h"

#include <algorithm>

#include "tensor/error.h"
#include "tensor/ops.h"

namespace querent::al {
namespace {

constexpr size_t images_together = 64;

}  // namespace

const Strategy& find_cold_start(std::string_view name) {
  const Strategy& s = find_strategy(name);
  std::string valid = "random";
  for (const Strategy* other : strategies())
    if (!other->needs.model && other->needs.features && !other->needs.stages) valid += ", " + std::string(other->name);
  check(!s.needs.model && s.needs.features && !s.needs.stages,
        "cold start: {} needs a model that has seen labels; the first labels can be chosen by {}", s.name, valid);
  return s;
}

std::vector<std::string> cold_start(const Strategy& s, const data::Loader& loader, std::span<const int64_t> cases,
                                    int64_t count, uint64_t seed) {
  PoolView view{1, std::max<int64_t>(2, static_cast<int64_t>(loader.dataset().classes.size())), {}, {}};
  for (size_t first = 0; first < cases.size(); first += images_together) {
    const auto part = cases.subspan(first, std::min(images_together, cases.size() - first));
    const Tensor small = adaptive_avg_pool2d(loader.batch(part).x, {thumbnail_side, thumbnail_side});
    for (size_t i = 0; i < part.size(); ++i)
      view.cases.push_back({loader.dataset().cases[static_cast<size_t>(part[i])].id,
                            {},
                            {},
                            small.batch(static_cast<int64_t>(i), 1).host()});
  }
  std::vector<std::string> ids;
  for (const Pick& pick : choose(s, view, count, {.seed = seed})) ids.push_back(view.cases[pick.index].id);
  return ids;
}

}  // namespace querent::al
