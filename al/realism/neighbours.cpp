#include "al/realism/neighbours.h"

#include <cmath>

#include "data/parallel.h"
#include "tensor/error.h"

namespace querent::al {

double film_distance(std::span<const double> a, std::span<const double> b) {
  check(a.size() == b.size() && !a.empty(), "neighbours: films of {} and {} features cannot be compared", a.size(),
        b.size());
  double sum = 0;
  for (size_t k = 0; k < a.size(); ++k) sum += (a[k] - b[k]) * (a[k] - b[k]);
  return std::sqrt(sum / static_cast<double>(a.size()));
}

std::vector<Neighbour> nearest(const FeatureMatrix& queries, std::span<const int64_t> query_groups,
                               const FeatureMatrix& references, std::span<const int64_t> reference_groups) {
  check(static_cast<int64_t>(query_groups.size()) == queries.n &&
            static_cast<int64_t>(reference_groups.size()) == references.n,
        "neighbours: {} and {} groups for {} and {} films", query_groups.size(), reference_groups.size(), queries.n,
        references.n);
  std::vector<Neighbour> found(static_cast<size_t>(queries.n));
  data::parallel_for(queries.n, [&](int64_t i) {
    const auto q = static_cast<size_t>(i);
    for (int64_t r = 0; r < references.n; ++r) {
      const int64_t group = reference_groups[static_cast<size_t>(r)];
      if (group >= 0 && group == query_groups[q]) continue;
      const double distance = film_distance(queries.row(i), references.row(r));
      if (distance < found[q].distance) found[q] = {r, distance};
    }
  });
  return found;
}

}  // namespace querent::al
