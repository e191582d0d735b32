// The arms of tajbakhsh2016 compared on the same test films.
#pragma once
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "al/statistics.h"
#include "al/tajbakhsh2016/experiment.h"

namespace querent::al {

// What the networks of one arm said of the test films: for each seed p [N,C].
using Said = std::vector<std::vector<float>>;
struct TestFilms {
  std::vector<int64_t> labels;    // 0..C-1
  std::vector<int64_t> patients;  // numbers
  int64_t classes = 2;
};
// Mean over the seeds of the AUC on `films` (with repetitions); C > 2: mean over the classes of one against the rest.
// NaN where a class, or all others, are missing.
double mean_auc(const Said& said, const TestFilms& test, std::span<const size_t> films);
// mean_auc(a) - mean_auc(b) and its bootstrap interval over patients.
struct AucDifference {
  double mean = 0;
  Interval ci = {};
};
AucDifference compare_auc(const Said& a, const Said& b, const TestFilms& test, uint64_t seed, double level);

constexpr int64_t scratch = -1;  // as a depth
struct TunedArm {
  int64_t films = 0;                 // it learnt from
  std::vector<double> auc, val_auc;  // of each seed
  Said said;
};
using TunedArms = std::map<std::pair<int64_t, double>, TunedArm>;  // by depth and share
std::string depth_title(int64_t depth);                            // "last 2 tuned"

// "arms" and "verdict" of tajbakhsh2016.json (experiment.h).
nlohmann::json arms_json(const TajbakhshConfig& config, const TunedArms& arms, const TestFilms& test);
nlohmann::json verdict_json(const TajbakhshConfig& config, const TunedArms& arms, const TestFilms& test);

}  // namespace querent::al
