// Is it worth labelling more? What a run says about each of its strategies: forecast (al/forecast.h), what it costs
// (al/cost.h), and three reasons to stop. Read by `querent advise` and by the report.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "al/cost.h"
#include "al/forecast.h"
#include "app/report_data.h"

namespace querent::app {

struct AdviceOptions {
  std::optional<double> target;  // none: `share` of the full-data figure
  double share = 0.99;
  int64_t more = 0;  // 0: as many as the last round added, within what there is to label
  double min_gain = 0.002;
  std::optional<double> worth;  // money for a gain of 0.01
  al::Rates rates;              // all 0: those of the run
};

// A rule that may say stop; none of `stop`: it cannot be told, and `why` says what is missing.
struct StopRule {
  std::string name;
  std::optional<bool> stop;
  std::string why;
};

struct Advice {
  enum Answer { go, likely, unlikely, stop, unknown } answer = unknown;
  std::string strategy, sentence;
  int color = 0;
  al::Forecast forecast;
  std::optional<al::LabelsNeeded> need;
  std::optional<al::Gain> gain;
  std::optional<al::Work> work;  // of the labels so far, or their number alone
  std::vector<StopRule> rules;   // plateau, predictions, gain
};

struct Advices {
  al::Rates rates;
  std::optional<double> target;
  std::string goal;  // "0.891, 99 % of full-data AUC"
  std::vector<Advice> each;
};
Advices advise(const Results&, const AdviceOptions& = {});

// "about 320 labels, 70 more (95 %: 250 to beyond 1,000)", or why not. Plain text.
std::string describe_need(const Advice&, const Advices&);
// "+0.002 AUC (95 %: 0.000 to 0.004) for 40 labels = 3 h 20 min = 400 EUR"
std::string describe_gain(const Results&, const Advice&, const Advices&);

}  // namespace querent::app
