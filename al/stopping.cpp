#include "al/stopping.h"

#include <cmath>

#include "tensor/error.h"

namespace querent::al {

StoppingVerdict should_stop(const StoppingRule& rule, std::span<const CurvePoint> validation) {
  check(!rule.patience || *rule.patience >= 1, "stopping: the patience must be at least 1 round, got {}",
        rule.patience.value_or(0));
  check(rule.tolerance >= 0, "stopping: the tolerance must not be negative, got {}", rule.tolerance);
  StoppingVerdict v;
  if (validation.empty()) return v;
  for (size_t i = 0; i < validation.size(); ++i) {
    const double metric = validation[i].metric;
    check(std::isfinite(metric), "stopping: the validation metric of round {} is {}", i, metric);
    if (metric > validation[static_cast<size_t>(v.best_round)].metric + rule.tolerance)
      v.best_round = static_cast<int64_t>(i);
  }
  v.stale = static_cast<int64_t>(validation.size()) - 1 - v.best_round;
  if (rule.budget > 0 && validation.back().labelled >= rule.budget) {
    v.stop = true;
    v.why = text("the budget of {} labels is spent", rule.budget);
  } else if (rule.patience && v.stale >= *rule.patience) {
    v.stop = true;
    v.why = text("no improvement above {} on the validation split for {} rounds (best {} at {} labels)", rule.tolerance,
                 v.stale, validation[static_cast<size_t>(v.best_round)].metric,
                 validation[static_cast<size_t>(v.best_round)].labelled);
  }
  return v;
}

}  // namespace querent::al
