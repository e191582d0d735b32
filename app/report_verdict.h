// The verdict of a report: what the run shows and, as plainly, what it does not show.
//
// A target is a fraction of the full-data model's primary metric (mean over seeds). A seed reaches it at its first
// MEASURED point at or above the target; nothing is interpolated. The median counts a seed that never got there as
// infinitely many labels, and takes the larger of the two middle values for an even number of seeds.
#pragma once
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "al/statistics.h"
#include "app/report_data.h"

namespace querent::app {

inline constexpr std::array target_fractions = {0.95, 0.98, 0.99};

// A seed that is still being measured and has not reached the target is not counted.
struct Reach {
  int64_t seeds = 0, reached = 0;
  std::optional<int64_t> median;
  int64_t fewest = 0, most = 0;  // over the seeds that reached it
  bool at_start = false;         // the median is the first point measured: fewer labels may do
};
struct StrategySummary {
  std::string name;
  int color = 0;
  std::array<Reach, target_fractions.size()> reach;
  std::optional<double> area;  // mean over seeds of the area under the curve, log2 labels; average metric along the way
  double best = 0;             // highest mean over seeds along the curve
  int64_t last = 0;            // labels at the end of the curve
};
struct Analysis {
  std::vector<StrategySummary> strategies;
  std::vector<uint64_t> paired_seeds;            // seeds that every strategy has measured to the end
  int64_t area_from = 0, area_to = 0;            // label counts that every finished curve has
  std::vector<al::Comparison> against_baseline;  // by area; empty without a baseline or a common seed
  std::vector<al::PairComparison> pairs;         // by area, of `strategies`; Holm over all of them
  bool finished = true;
};
Analysis analyse(const Results&);

struct Verdict {
  enum Tone { good, promising, neutral, bad, unknown } tone = unknown;
  // Plain text, not HTML. lower: what was reached below the highest target, when nobody reached that.
  std::string badge, headline, lower, detail;
};
Verdict verdict(const Results&, const Analysis&);

}  // namespace querent::app
