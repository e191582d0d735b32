// What every unit of the paper's experiment needs: data, training, measuring, and the books of what was bought.
#pragma once
#include <chrono>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "al/learner.h"
#include "al/paper/arms.h"
#include "al/pool.h"
#include "al/run_folder.h"

namespace querent::al {

struct Stopped {};  // thrown to leave a unit half-way; the checkpoint has been written

struct Lab {
  const PaperConfig& config;
  const data::Dataset& dataset;
  data::Loader& loader;       // what is trained on and measured; films are appended while an arm runs
  const data::Loader& bases;  // what is varied: with masks, whatever the task
  const RunFolder& folder;
  const Hooks& hooks;
  std::vector<int64_t> train, val, test;
  std::map<std::string, int64_t> index_of;
  int64_t units = 0, unit_index = 0;
  std::vector<std::string> unit_names = {};  // finished ones, in order

  int64_t classes() const { return config.run.task == "seg" ? 1 : static_cast<int64_t>(dataset.classes.size()); }
  int64_t label_of(const std::string& id) const;  // class; 0 for segmentation
  bool can_vary(const std::string& id) const;     // has a mask
  std::vector<std::string> ids(const std::vector<int64_t>& cases) const;
  std::vector<int64_t> indices(const std::vector<std::string>& names) const;

  Learner new_learner(uint64_t seed) const;
  void train_on(Learner& learner, const std::vector<int64_t>& cases, int64_t steps, uint64_t seed,
                const std::string& unit, const std::string& title);
  Point measure(const Learner& learner, int64_t labels, std::chrono::steady_clock::time_point start) const;

  void report(Progress p) const;
  void begin(const std::string& title) const { report({Progress::unit_begin, title, 0, 0, 0, 0, 0, nullptr}); }
  void finish(const std::string& name, const nlohmann::json& unit, const std::string& title, const Point& p);
  void note(const std::string& name, const std::string& title, const Point& p);  // finished now or before
};

// A synthetic film that was chosen, as it lies on disk below the run folder.
struct KeptFilm {
  std::string id, base, image, mask, edit;  // edit: EditRecord as JSON
  int64_t variant = 0;
  double score = 0;
};
// What an arm adds to its training set in one round.
struct Addition {
  std::vector<std::string> bought;  // real films whose label is paid for now
  std::vector<KeptFilm> films;
  int64_t scored = 0;  // films looked at
  double refused = 0;  // by the realism gate: share of those that would have been chosen
};
nlohmann::json to_json(const Addition& a);
Addition addition_from_json(const nlohmann::json& j);

// What an arm has paid for and what it trains on.
struct Holdings {
  Pool pool;
  std::vector<int64_t> films;  // indices of synthetic cases in the loader
  int64_t labels() const { return pool.count(CaseState::labelled); }
};
// Pays and adds the films as cases. Errors: a film whose base is not a training case.
void add(Lab& lab, Holdings& holdings, const Addition& a, int64_t round);

// Where a round stands and how much it may buy.
struct Round {
  std::string unit, title;
  uint64_t seed = 0;
  int64_t number = 1, per_class = 16, total = 0;  // as in FilmSelection
};
// Scores, chooses and writes the films of a round; throws Stopped.
Addition choose_addition(const Lab& lab, const Arm& arm, const FilmSource& source, const Learner& learner,
                         const Pool& pool, const Round& round);

}  // namespace querent::al
