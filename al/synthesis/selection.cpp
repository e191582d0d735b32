#include "al/synthesis/selection.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "al/selection.h"
#include "al/statistics.h"
#include "tensor/error.h"

namespace querent::al {
namespace {

// Walks down the ranking and takes what the limits allow: first by class, then, up to o.total, without regard to it.
std::vector<size_t> take(std::span<const ScoredFilm> films, std::span<const size_t> ranking, const FilmSelection& o) {
  std::vector<char> taken(films.size(), 0);
  std::map<int64_t, int64_t> of_class;
  std::map<std::string_view, int64_t> of_base;
  int64_t count = 0;
  const auto walk = [&](int64_t per_class) {
    for (const size_t i : ranking) {
      if (o.total > 0 && count >= o.total) return;
      const ScoredFilm& f = films[i];
      if (taken[i] || (per_class > 0 && of_class[f.label] >= per_class)) continue;
      if (o.per_base > 0 && of_base[f.base] >= o.per_base) continue;
      taken[i] = 1;
      ++of_class[f.label], ++of_base[f.base], ++count;
    }
  };
  walk(o.per_class);
  if (o.total > 0) walk(0);
  std::vector<size_t> chosen;
  std::copy_if(ranking.begin(), ranking.end(), std::back_inserter(chosen), [&](size_t i) { return taken[i]; });
  return chosen;
}

}  // namespace

FilmChoice choose_films(std::span<const ScoredFilm> films, const Pool& pool, const FilmSelection& o) {
  check(o.per_class >= 1 && o.total >= 0 && o.per_base >= 0,
        "films: per class must be at least 1, the total and per base at least 0; got {}, {} and {}", o.per_class,
        o.total, o.per_base);
  check(o.realism_percentile >= 0 && o.realism_percentile < 100,
        "films: the realism percentile must be at least 0 and below 100, got {}", o.realism_percentile);
  std::vector<Candidate> candidates;
  for (const ScoredFilm& f : films) {
    const CaseState state = pool.state(f.base);
    check(state == CaseState::unlabelled || state == CaseState::labelled,
          "films: '{}' is made from case '{}', which is held out ({}); make films of training cases only", f.id, f.base,
          name_of(state));
    candidates.push_back({f.id, f.score, 0});
  }
  if (films.empty()) return {};
  const std::vector<size_t> ranking = top_k(candidates, static_cast<int64_t>(films.size()), o.seed);
  const std::vector<size_t> plain = take(films, ranking, o);
  if (o.realism_percentile == 0) return {plain, 0};

  std::vector<double> realism;
  for (const ScoredFilm& f : films) {
    check(std::isfinite(f.realism), "films: '{}' has a realism of {}", f.id, f.realism);
    realism.push_back(f.realism);
  }
  std::sort(realism.begin(), realism.end());
  const double least = quantile(realism, o.realism_percentile / 100);
  std::vector<size_t> real_enough;
  std::copy_if(ranking.begin(), ranking.end(), std::back_inserter(real_enough),
               [&](size_t i) { return films[i].realism >= least; });
  const auto refused = std::count_if(plain.begin(), plain.end(), [&](size_t i) { return films[i].realism < least; });
  return {take(films, real_enough, o),
          plain.empty() ? 0 : static_cast<double>(refused) / static_cast<double>(plain.size())};
}

}  // namespace querent::al
