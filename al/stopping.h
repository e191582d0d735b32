// When to stop asking: the budget is spent, the VALIDATION metric has not improved for some rounds, or the predictions no
// longer change. The test set has no part in this: stopping on it would make its figure a selected one.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "al/curve.h"

namespace querent::al {

struct StoppingRule {
  int64_t budget = 0;                   // labels in all; 0 = no limit
  std::optional<int64_t> patience = 2;  // rounds without improvement; none = run to the budget
  double tolerance = 0.002;             // an improvement must be larger than this
};
struct StoppingVerdict {
  bool stop = false;
  std::string why;         // one sentence for the journal; empty while going on
  int64_t best_round = 0;  // index of the last improvement
  int64_t stale = 0;       // rounds since
};
// `validation`: one point per finished round, first to last. A metric that is not finite is an Error.
StoppingVerdict should_stop(const StoppingRule&, std::span<const CurvePoint> validation);

// Cohen's kappa: how far two labellings of the same items agree beyond chance. 1 when both call every item the same one
// thing. Error: no items, or not as many.
double cohens_kappa(std::span<const int64_t> a, std::span<const int64_t> b);
// Stabilising predictions (Bloodgood and Vijay-Shanker, CoNLL 2009): agreement[i] is the kappa of what the models of two
// successive rounds predict for images whose labels nobody looks at. Stop when the mean of the last three is 0.99 or more.
StoppingVerdict predictions_stable(std::span<const double> agreement);

}  // namespace querent::al
