#include "al/stopping.h"

#include <cmath>
#include <map>

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
                 v.stale, std::round(validation[static_cast<size_t>(v.best_round)].metric * 1e4) / 1e4,
                 validation[static_cast<size_t>(v.best_round)].labelled);
  }
  return v;
}

double cohens_kappa(std::span<const int64_t> a, std::span<const int64_t> b) {
  check(!a.empty() && a.size() == b.size(), "stopping: kappa needs pairs, got {} and {} predictions", a.size(), b.size());
  std::map<int64_t, std::pair<double, double>> shares;
  const double n = static_cast<double>(a.size());
  double same = 0, chance = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    shares[a[i]].first += 1 / n;
    shares[b[i]].second += 1 / n;
    same += a[i] == b[i] ? 1 / n : 0;
  }
  for (const auto& [label, share] : shares) chance += share.first * share.second;
  return shares.size() == 1 ? 1 : (same - chance) / (1 - chance);
}

StoppingVerdict predictions_stable(std::span<const double> agreement) {
  constexpr size_t window = 3;
  constexpr double enough = 0.99;
  StoppingVerdict v;
  if (agreement.size() < window) return v;
  double mean = 0;
  for (const double kappa : agreement.last(window)) {
    check(std::isfinite(kappa), "stopping: an agreement is {}", kappa);
    mean += kappa / static_cast<double>(window);
  }
  v.stop = mean >= enough;
  if (v.stop) v.why = text("predictions no longer change: kappa {} between the last rounds", std::round(mean * 1e3) / 1e3);
  return v;
}

}  // namespace querent::al
