// Strategies that read how the T passes differ:
//
//   variation_ratios_mode   1 - n_mode / T            n_mode passes vote for the most frequent argmax
//   mean_std                (1/C) sum_c sqrt(mean_t p^2 - (mean_t p)^2)
//   bald                    H(mean_t p_t) - mean_t H(p_t)
//
// BALD is the mutual information between the label and the weights: it is 0 when all passes agree, however unsure they
// are, and ln 2 when two classes flip from pass to pass. entropy >= BALD >= 0 always (Jensen).
#include <algorithm>
#include <cmath>

#include "al/acquisition/family.h"

namespace querent::al {

double expected_entropy(const Site& s) {
  double h = 0;
  for (int64_t t = 0; t < s.T; ++t) h += entropy(s.p.subspan(static_cast<size_t>(t * s.C), static_cast<size_t>(s.C)));
  return h / static_cast<double>(s.T);
}
double mutual_information(const Site& s) { return std::max(0.0, entropy(s.mean) - expected_entropy(s)); }

double mode_variation_ratio(const Site& s) {
  std::vector<int64_t> votes(static_cast<size_t>(s.C), 0);
  for (int64_t t = 0; t < s.T; ++t) {
    const auto row = s.p.subspan(static_cast<size_t>(t * s.C), static_cast<size_t>(s.C));
    ++votes[static_cast<size_t>(std::max_element(row.begin(), row.end()) - row.begin())];
  }
  return 1 - static_cast<double>(*std::max_element(votes.begin(), votes.end())) / static_cast<double>(s.T);
}

double mean_std(const Site& s) {
  double sum = 0;
  for (int64_t c = 0; c < s.C; ++c) {
    // Deviations from the mean, not mean(p^2) - mean(p)^2: exactly 0 when all passes agree.
    double square = 0;
    for (int64_t t = 0; t < s.T; ++t) {
      const double d = s.p[static_cast<size_t>(t * s.C + c)] - s.mean[static_cast<size_t>(c)];
      square += d * d;
    }
    sum += std::sqrt(square / static_cast<double>(s.T));
  }
  return sum / static_cast<double>(s.C);
}

namespace {

Score mode_score(const Passes& x, const ScoreOptions& o) {
  return score_sites(x, o, {"disagreeing_votes"}, [](const Site& s, auto v) { v[0] = mode_variation_ratio(s); });
}
Score mean_std_score(const Passes& x, const ScoreOptions& o) {
  return score_sites(x, o, {"mean_std"}, [](const Site& s, auto v) { v[0] = mean_std(s); });
}
Score bald_score(const Passes& x, const ScoreOptions& o) {
  return score_sites(x, o, {"mutual_information", "entropy", "expected_entropy"}, [](const Site& s, auto v) {
    v[1] = entropy(s.mean);
    v[2] = expected_entropy(s);
    v[0] = std::max(0.0, v[1] - v[2]);
  });
}

}  // namespace

constinit const Strategy variation_ratios_mode_strategy{
    .name = "variation_ratios_mode",
    .alias = "vr_mode",
    .formula = "1 - n_mode / T, n_mode = passes that vote for the most frequent argmax",
    .source = "Freeman 1965; Gal 2016 (thesis)",
    .doc =
        "The variation ratio by votes: the share of passes that disagree with the majority. Coarse with few passes, "
        "so ties are common; they are broken by a seeded hash of the case id.",
    .needs = {.several_passes = true},
    .compute = mode_score};
constinit const Strategy mean_std_strategy{
    .name = "mean_std",
    .alias = "std",
    .formula = "(1/C) sum_c sqrt(mean_t p^2 - (mean_t p)^2)",
    .source = "Kampffmeyer et al. 2016; Gal, Islam and Ghahramani 2017",
    .doc = "The spread of each class probability over the passes, averaged over classes.",
    .needs = {.several_passes = true},
    .compute = mean_std_score};
constinit const Strategy bald_strategy{
    .name = "bald",
    .alias = "mutual_information",
    .formula = "H(mean_t p_t) - mean_t H(p_t)",
    .source = "Houlsby et al. 2011; Gal, Islam and Ghahramani 2017",
    .doc =
        "Asks for the images on which each pass is sure and the passes contradict each other: doubt about the "
        "weights, which a label can remove. An image that is ambiguous in every pass scores 0.",
    .needs = {.several_passes = true},
    .compute = bald_score};

}  // namespace querent::al
