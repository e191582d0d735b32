// All checks of one set of synthetic films, each as a figure with its size, interval, what it is measured against, a
// verdict in words and the rule behind it. Works on plain arrays: how the films were made does not matter.
#pragma once
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "al/realism/figures.h"

namespace querent::al {

struct RealFilms {
  std::vector<std::string> ids;
  std::vector<int64_t> patients;         // group of each film
  std::vector<int64_t> train, held_out;  // rows
  FeatureMatrix features, pixels;        // features.h; [films, ...]
};
struct SyntheticFilms {
  std::vector<std::string> ids;
  std::vector<int64_t> bases;  // the real film each was made from, -1 unknown
  FeatureMatrix features, pixels;
};
struct RealismReport {
  std::vector<Figure> figures;
  std::optional<Memorisation> in_features, in_pixels;
  std::vector<double> base_distance;    // of each sample in pixel space, NaN without a base
  std::vector<int64_t> held_out_bases;  // samples
  bool passed() const;                  // no figure failed
};
struct RealismOptions {
  uint64_t seed = 1;
  int64_t repeats = 20, resamples = 100;  // of the halves, of the bootstrap of the Frechet distance
};
// Features are standardised to the real films here. Errors: no samples, sizes that do not fit.
RealismReport realism_report(const RealFilms& real, const SyntheticFilms& samples, const Judges& judges,
                             const RealismOptions& o = {});

nlohmann::json to_json(const RealismReport& r);  // the figures, and the tests behind them

}  // namespace querent::al
