// What the units of a seed share: the films, the pool of superpixels, where results go.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "al/classic/random_forest.h"
#include "al/mahapatra2013/experiment.h"
#include "al/mahapatra2013/film.h"
#include "al/run_folder.h"
#include "data/loader.h"

namespace querent::al {

struct StoppedUnit {};  // thrown to leave a unit half-way: it is done again, from the units before it

constexpr int64_t films_at_once = 16;  // films between two questions whether to stop

// The pool of one seed and what does not change from round to round.
struct SeedSetting {
  SuperpixelPool pool;
  Standardizer standardizer;   // of the pool's features
  FeatureMatrix standardised;  // [nodes]
  Graph graph;
  std::vector<double> density;  // [nodes]
};

struct SuperpixelLab {
  const MahapatraConfig& config;
  const data::Dataset& dataset;
  const data::Loader& loader;
  const RunFolder& folder;
  const Hooks& hooks;
  int64_t units = 0, unit = 0;
  std::vector<Film> test = {}, val = {};    // described when first needed
  std::optional<SeedSetting> setting = {};  // of the seed under way

  void report(Progress p) const {
    p.unit_index = unit, p.units = units;
    hooks.progress(p);
  }
};

// Fills in test, val and setting where they are missing; a continued run that needs no more units never comes here.
void prepare(SuperpixelLab& lab, uint64_t seed);

// gallery/: the film of the pool that was asked most about, and the test film whose Dice with the cut is the median.
void write_pictures(const SuperpixelLab& lab, const RandomForest& forest, const std::vector<int64_t>& labelled);

}  // namespace querent::al
