// Which synthetic films to learn from: the most uncertain of each class (Mahapatra et al., MICCAI 2018, who take 16 of
// each class by the variance of a Bayesian network, al/synthesis/scoring.h).
//
// Pure functions of scores. Highest first; equal scores are ordered by a seeded hash of the film's id (al/selection.h),
// so neither the order of the films nor the number of threads changes the choice.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "al/pool.h"

namespace querent::al {

struct ScoredFilm {
  std::string id, base;  // base: id of the real case it was made from; its own id for a real film
  int64_t variant = 0;   // of its base, to make it again by; not read here
  int64_t label = 0;     // class; 0 for segmentation
  double score = 0;      // higher is chosen first
  double realism = 0;    // higher is more like a real film; read by the gate only
};

struct FilmSelection {
  int64_t per_class = 16;  // of each class, fewer where it has no more
  int64_t total = 0;       // > 0: so many in all, a class that runs out being made up for by the others
  int64_t per_base = 1;    // from one base; 0: no limit, then all of a class may come from one odd film
  // Gate: films whose realism is below this percentile of all films are refused, because a network is uncertain first
  // of all about what no film looks like. 0: no gate.
  double realism_percentile = 0;
  uint64_t seed = 0;
};

struct FilmChoice {
  std::vector<size_t> films;  // indices, highest score first
  double refused = 0;         // share of those that would have been chosen without the gate
};

// No film is chosen twice; fewer are chosen when there are no more. Errors: a base that is held out or unknown to the
// pool, an id given twice, a score that is not finite, options out of range.
FilmChoice choose_films(std::span<const ScoredFilm> films, const Pool& pool, const FilmSelection& o);

}  // namespace querent::al
