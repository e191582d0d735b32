#include <map>
#include <set>

#include "al/scr2006/experiment.h"
#include "data/split.h"
#include "tensor/error.h"
#include "tensor/rng.h"

namespace querent::al {
namespace {

// "" where the film says nothing.
std::string given_fold(const data::Dataset& films, const data::Case& c) {
  const auto given = c.extra.find("fold");
  if (given != c.extra.end()) return given->second;
  if (films.layout != "jsrt" || c.id.empty()) return "";
  return (c.id.back() - '0') % 2 == 1 ? "1" : "2";
}

std::map<std::string, std::string> folds_by_patient(const data::Dataset& films, uint64_t seed) {
  std::map<std::string, int64_t> count;  // films of each patient; sorted by name
  for (const data::Case& c : films.cases) ++count[data::patient_key(c)];
  std::vector<std::string> patients;
  for (const auto& [patient, n] : count) patients.push_back(patient);
  Rng(seed).fork("folds").shuffle(patients);
  int64_t more = 0;  // films in fold 1 beyond those in fold 2
  std::map<std::string, std::string> fold;
  for (const std::string& p : patients) {
    fold[p] = more <= 0 ? "1" : "2";
    more += more <= 0 ? count[p] : -count[p];
  }
  return fold;
}

}  // namespace

std::vector<std::string> folds_of(const data::Dataset& films, uint64_t seed) {
  std::vector<std::string> folds;
  for (const data::Case& c : films.cases) folds.push_back(given_fold(films, c));
  std::set<std::string> names(folds.begin(), folds.end());
  if (names.contains("") || names.size() < 2) {
    const auto dealt = folds_by_patient(films, seed);
    for (size_t i = 0; i < folds.size(); ++i) folds[i] = dealt.at(data::patient_key(films.cases[i]));
    names = {folds.begin(), folds.end()};
  }
  check(names.size() >= 2, "scr2006: {} films of one patient make no two folds; give it films of more patients",
        films.cases.size());
  check(names.size() <= 20, "scr2006: the column 'fold' names {} folds; use at most 20, or remove it", names.size());
  for (const std::string& test : names) {  // patients on two sides, synthetic films
    data::Dataset sides = films;
    for (size_t i = 0; i < folds.size(); ++i) sides.cases[i].split = folds[i] == test ? "test" : "train";
    data::check_no_leak(sides);
  }
  return folds;
}

}  // namespace querent::al
