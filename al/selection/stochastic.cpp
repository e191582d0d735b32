// Stochastic batches (Kirsch, Farquhar, Atighehchian, Jesson, Branchaud-Charron and Gal 2021, "Stochastic Batch
// Acquisition"): draw the batch without replacement with probabilities that grow with the score, instead of taking the
// k best, which tend to be alike. By the Gumbel-top-k trick that is top-k of a perturbed score:
//
//   power      log s_i   + e_i     P(i) ~ s_i^beta
//   softmax    s_i       + e_i     P(i) ~ exp(beta s_i)
//   softrank   -log r_i  + e_i     P(i) ~ r_i^-beta,  r_i = 1 for the highest score
//
// with e_i ~ Gumbel(0, 1/beta), drawn from (seed, case id). Here s is BALD. It costs nothing beyond the scores.
#include <cmath>
#include <limits>

#include "al/acquisition/family.h"
#include "al/selection/family.h"
#include "tensor/error.h"
#include "tensor/rng.h"

namespace querent::al {

double gumbel(double u) {
  constexpr double smallest = 0x1p-54;  // u = 0 would be minus infinity
  return -std::log(-std::log(std::max(u, smallest)));
}
// A score of 0 counts as the smallest positive number: asked last, and still finite.
double power_score(double score, double beta, double noise) {
  return std::log(std::max(score, std::numeric_limits<double>::min())) + noise / beta;
}
double softmax_score(double score, double beta, double noise) { return score + noise / beta; }
double softrank_score(int64_t rank, double beta, double noise) {
  return -std::log(static_cast<double>(rank)) + noise / beta;
}

namespace {

constexpr const char* stream = "stochastic_batch";

double checked_beta(const ScoreOptions& o) {
  check(o.beta > 0 && std::isfinite(o.beta), "acquisition: beta must be above 0, got {}", o.beta);
  return o.beta;
}

Score perturbed(const Passes& x, const ScoreOptions& o, double (*form)(double score, double beta, double noise)) {
  Score s = bald_strategy.compute(x, o);
  const double noise = gumbel(Rng(o.seed).fork(stream).fork(x.id).uniform());
  s.parts = {{"bald", s.value}, {"noise", noise}};
  s.value = form(s.value, checked_beta(o), noise);
  return s;
}

std::vector<Pick> softrank(const PoolView& view, int64_t k, const ScoreOptions& o) {
  std::vector<double> value;
  for (const PoolCase& c : view.cases) value.push_back(c.score.value);
  const std::vector<size_t> by_score = descending(value);
  std::vector<int64_t> rank(value.size());
  for (size_t r = 0; r < by_score.size(); ++r) rank[by_score[r]] = static_cast<int64_t>(r) + 1;
  std::vector<double> noise;
  for (const PoolCase& c : view.cases) noise.push_back(gumbel(Rng(o.seed).fork(stream).fork(c.id).uniform()));
  for (size_t i = 0; i < value.size(); ++i) value[i] = softrank_score(rank[i], checked_beta(o), noise[i]);
  std::vector<Pick> picks;
  for (const size_t i : descending(value)) {
    if (static_cast<int64_t>(picks.size()) == k) break;
    picks.push_back(
        {i,
         {.value = value[i],
          .group = 0,
          .parts = {
              {"bald", view.cases[i].score.value}, {"rank", static_cast<double>(rank[i])}, {"noise", noise[i]}}}});
  }
  return picks;
}

}  // namespace

constinit const Strategy power_bald_strategy{
    .name = "power_bald",
    .alias = "",
    .formula = "log BALD + e,  e ~ Gumbel(0, 1/beta) from (seed, case id), beta = 1",
    .source = "Kirsch et al. 2021 (Stochastic Batch Acquisition)",
    .doc =
        "Draws images with probability proportional to their BALD instead of taking the largest: a batch that is "
        "informative and not all alike, at the cost of plain BALD. An image whose BALD is 0 comes last.",
    .needs = {.several_passes = true},
    .compute = [](const Passes& x, const ScoreOptions& o) { return perturbed(x, o, power_score); }};
constinit const Strategy softmax_bald_strategy{
    .name = "softmax_bald",
    .alias = "",
    .formula = "BALD + e,  e ~ Gumbel(0, 1/beta) from (seed, case id), beta = 1",
    .source = "Kirsch et al. 2021 (Stochastic Batch Acquisition)",
    .doc =
        "Draws images with probability proportional to exp(beta BALD). BALD of two classes is at most 0.69, so with "
        "beta = 1 this is close to random; power_bald does not depend on the scale.",
    .needs = {.several_passes = true},
    .compute = [](const Passes& x, const ScoreOptions& o) { return perturbed(x, o, softmax_score); }};
constinit const Strategy softrank_bald_strategy{
    .name = "softrank_bald",
    .alias = "",
    .formula = "-log rank + e,  rank by BALD (1 = highest), e ~ Gumbel(0, 1/beta), beta = 1",
    .source = "Kirsch et al. 2021 (Stochastic Batch Acquisition)",
    .doc =
        "Draws images with probability proportional to 1 / rank: only the order of the BALD scores counts, not their "
        "size.",
    .needs = {.several_passes = true},
    .compute = [](const Passes& x, const ScoreOptions& o) { return bald_strategy.compute(x, o); },
    .select = softrank};

}  // namespace querent::al
