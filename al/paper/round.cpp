#include <algorithm>
#include <filesystem>
#include <set>

#include "al/paper/lab.h"
#include "al/synthesis/selection.h"
#include "data/encode.h"
#include "tensor/error.h"
#include "tensor/rng.h"

namespace querent::al {
namespace {

constexpr int64_t scoring_batch = 16;  // films in memory at a time

// Progress and stopping of one pass over `total` films.
struct Walk {
  const Lab& lab;
  const Round& round;
  int64_t total, done = 0;
  void step(int64_t films) {
    if (lab.hooks.stop()) throw Stopped{};
    done += films;
    lab.report({Progress::scoring, round.title, 0, 0, done, total, 0, nullptr});
  }
};

// A random part of these cases, the same for every arm with the same cases.
std::vector<std::string> some_of(const Lab& lab, std::vector<std::string> names, const Round& round) {
  const int64_t limit = lab.config.run.pool_limit, batch = std::max(round.total, round.per_class * lab.classes());
  if (limit < 0) return names;
  Rng rng = Rng(round.seed).fork("bases").fork(static_cast<uint64_t>(round.number));
  rng.shuffle(names);
  names.resize(std::min(names.size(), static_cast<size_t>(std::max(limit, 3 * batch))));
  return names;
}

std::vector<ScoredFilm> score_real(const Lab& lab, const Learner& learner, const std::vector<std::string>& names,
                                   const FilmScoring& o, const Round& round) {
  std::vector<ScoredFilm> scored;
  Walk walk{lab, round, static_cast<int64_t>(names.size())};
  const std::vector<int64_t> cases = lab.indices(names);
  for (size_t first = 0; first < names.size(); first += scoring_batch) {
    const size_t count = std::min<size_t>(scoring_batch, names.size() - first);
    const std::span part(&names[first], count);
    const Tensor x = o.score == FilmScore::random ? Tensor{} : lab.loader.batch(std::span(&cases[first], count)).x;
    const std::vector<double> scores = score_films(learner.model(), x, part, o);
    for (size_t i = 0; i < count; ++i) scored.push_back({part[i], part[i], 0, lab.label_of(part[i]), scores[i]});
    walk.step(static_cast<int64_t>(count));
  }
  return scored;
}

// Makes and scores the variants of these bases, a few at a time: what is not chosen is not kept.
std::vector<ScoredFilm> score_variants(const Lab& lab, const FilmSource& source, const Learner& learner,
                                       const std::vector<std::string>& names, const FilmScoring& o,
                                       const Round& round) {
  std::vector<ScoredFilm> scored;
  const int64_t each = lab.config.variants, first = (round.number - 1) * each;
  Walk walk{lab, round, each * static_cast<int64_t>(names.size())};
  for (const std::string& name : names) {
    const EditBase base = edit_base(lab.bases, lab.index_of.at(name));
    const bool has_mask = std::any_of(base.mask.pixels.begin(), base.mask.pixels.end(), [](float v) { return v > 0; });
    for (int64_t k = 0; has_mask && k < each; k += scoring_batch) {
      const std::vector<SyntheticFilm> films = source(base, first + k, std::min(scoring_batch, each - k));
      std::vector<std::string> ids;
      for (const SyntheticFilm& f : films) ids.push_back(f.id);
      const std::vector<double> scores =
          score_films(learner.model(), film_batch(films, lab.loader.options().normalization), ids, o);
      for (size_t i = 0; i < films.size(); ++i) {
        scored.push_back({ids[i], name, films[i].record.variant, lab.label_of(name), scores[i], films[i].realism});
      }
    }
    walk.step(each);
  }
  return scored;
}

// Makes the chosen film again and writes it. Numbered: ids may hold any character.
KeptFilm keep(const Lab& lab, const FilmSource& source, const ScoredFilm& film, const std::string& stem) {
  const EditBase base = edit_base(lab.bases, lab.index_of.at(film.base));
  const SyntheticFilm made = source(base, film.variant, 1).at(0);
  KeptFilm kept{film.id, film.base, stem + ".png", stem + "_mask.png", to_json(made.record), film.variant, film.score};
  data::write_png(lab.folder.file(kept.image), made.image);
  data::write_png(lab.folder.file(kept.mask), made.mask);
  return kept;
}

std::vector<std::string> bases_of(const std::vector<ScoredFilm>& films, const FilmChoice& choice) {
  std::vector<std::string> bases;
  std::set<std::string> seen;
  for (const size_t i : choice.films) {
    if (seen.insert(films[i].base).second) bases.push_back(films[i].base);
  }
  return bases;
}

}  // namespace

Addition choose_addition(const Lab& lab, const Arm& arm, const FilmSource& source, const Learner& learner,
                         const Pool& pool, const Round& round) {
  const PaperConfig& c = lab.config;
  const uint64_t key = mix_key(round.seed, hash_name(text("scores of round {}", round.number)));
  const FilmScoring scoring{arm.score, c.run.mc, key};
  FilmSelection selection{.per_class = round.per_class, .total = round.total, .per_base = 1, .seed = key};
  Addition a;
  std::vector<std::string> bases = pool.ids(CaseState::unlabelled);
  if (!arm.synthesis || c.strict_masks) {
    const std::vector<ScoredFilm> real = score_real(lab, learner, some_of(lab, bases, round), scoring, round);
    a.bought = bases_of(real, choose_films(real, pool, selection));
    a.scored = static_cast<int64_t>(real.size());
    if (!arm.synthesis) return a;
    bases = pool.ids(CaseState::labelled);
    bases.insert(bases.end(), a.bought.begin(), a.bought.end());
  }
  std::erase_if(bases, [&](const std::string& id) { return !lab.can_vary(id); });
  selection.per_class *= c.films_per_label;
  selection.total *= c.films_per_label;
  selection.per_base = c.per_base * c.films_per_label;
  selection.realism_percentile = c.realism_percentile;
  const std::vector<ScoredFilm> films =
      score_variants(lab, source, learner, some_of(lab, bases, round), scoring, round);
  const FilmChoice choice = choose_films(films, pool, selection);
  a.scored += static_cast<int64_t>(films.size());
  a.refused = choice.refused;
  if (!c.strict_masks) a.bought = bases_of(films, choice);
  make_folder(lab.folder.file("synthetic"));
  for (const size_t i : choice.films) {
    a.films.push_back(keep(lab, source, films[i], text("synthetic/{}_{}", round.unit, a.films.size())));
  }
  return a;
}

}  // namespace querent::al
