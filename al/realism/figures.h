// From a measurement to a figure: value, interval, what it is measured against, verdict and rule.
#pragma once
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>

#include "al/realism/class_consistency.h"
#include "al/realism/halves.h"
#include "al/realism/mask_response.h"
#include "al/realism/memorisation.h"

namespace querent::al {

enum class Outcome {
  passed,
  noted,  // worth knowing, no reason to refuse the samples
  failed,
  not_measured
};
const char* name_of(Outcome o);

struct Estimate {
  int64_t n = 0;  // films
  double value = std::numeric_limits<double>::quiet_NaN();
  std::optional<Interval> interval = {};  // 95 %
};
struct Figure {
  std::string name, title;
  Estimate samples = {};
  std::string reference_name = {};  // what the reference is: "floor: ...", "ceiling: ..."
  std::optional<Estimate> reference = {};
  std::optional<Estimate> all_films = {};  // of distances: all samples against all real films
  Outcome outcome = Outcome::not_measured;
  std::string verdict = {}, rule = {};
};

struct Judges {  // what trained networks say; none: no such network was given
  std::optional<MaskResponse> masks;
  std::optional<ClassConsistency> classes;
  std::string no_masks, no_classes;  // why not, and what to do
};

Figure distance_figure(const char* name, const char* title, const std::optional<Compared>& c);
Figure nearness_figure(const char* name, const char* title, const std::optional<Memorisation>& m, uint64_t seed);
Figure memorised_figure(const std::optional<Memorisation>& in_features, const std::optional<Memorisation>& in_pixels);
// base_distance: NaN for samples without a base.
Figure base_figure(std::span<const double> base_distance, const std::optional<Memorisation>& in_pixels, uint64_t seed);
Figure leak_figure(int64_t known_bases, int64_t held_out_bases);
Figure mask_figure(const Judges& judges);
Figure contrast_figure(const Judges& judges);
Figure class_figure(const Judges& judges);

}  // namespace querent::al
