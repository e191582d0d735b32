// Asking the network what it does not know: T stochastic passes over candidates, turned into scores by a strategy, and
// what a batch selector reads besides.
#pragma once
#include <functional>
#include <span>
#include <vector>

#include "al/batch.h"
#include "al/learner.h"
#include "al/uncertainty.h"

namespace querent::al {

struct ScoringOptions {
  int64_t passes = 10;   // T
  std::span<const Learner> ensemble = {};  // not empty: the passes are one prediction of the learner and of each of these
  uint64_t seed = 0;     // dropout masks are functions of (seed, case, pass)
  ScoreOptions score;
  std::function<void(int64_t done, int64_t total)> progress = [](int64_t, int64_t) {};
  std::function<bool()> stop = [] { return false; };
};

// What the strategy needs to know, one case per candidate in their order; none when options.stop() asked to stop. Ranks
// (tensor/collective.h) look at the batches in turn and tell each other: all get the same bits as one rank alone.
// Predictions are kept for one batch only, unless the strategy needs the probabilities of all (al/batch.h: memory).
PoolView survey(const Learner& learner, const data::Loader& loader, const Strategy& strategy,
                std::span<const int64_t> candidates, std::span<const int64_t> labelled, const ScoringOptions& options);

// The raw passes of one case, for pictures: p, logit, log_variance, each [T, C] or [T, H*W].
struct CasePasses {
  std::vector<float> p, logit, log_variance;
};
// One pass after another: use(i, pass) for each of `cases`, T times.
void each_pass(const Learner& learner, const data::Loader& loader, std::span<const int64_t> cases, int64_t passes,
               uint64_t seed, const std::function<void(size_t i, const CasePasses& one)>& use);
std::vector<CasePasses> stochastic_passes(const Learner& learner, const data::Loader& loader, std::span<const int64_t> cases,
                                          int64_t passes, uint64_t seed);
// Mean and uncertainty of one case: one site (classification) or one per pixel.
UncertaintyMaps uncertainty_maps(const Model& model, const CasePasses& said, int64_t passes);

}  // namespace querent::al
