// Strategies that read only the mean prediction pbar = mean_t p_t:
//
//   least_confidence   1 - max_c pbar
//   margin             -(pbar_(1) - pbar_(2))           negated: the smallest margin is asked first
//   entropy            -sum_c pbar log pbar
//   variation_ratios   1 - max_c pbar                   the definition on the predictive mean
//
// They cannot tell "the image is ambiguous" (aleatoric) from "the model does not know yet" (epistemic). With two
// classes all of them rank images in the same order; they differ from three classes on.
#include <algorithm>
#include <cmath>

#include "al/acquisition/family.h"

namespace querent::al {

double entropy(std::span<const double> p) {
  double h = 0;
  for (const double x : p) h -= x > 0 ? x * std::log(x) : 0;
  return h;
}
double least_confidence(std::span<const double> mean) { return 1 - *std::max_element(mean.begin(), mean.end()); }
double margin(std::span<const double> mean) {
  double first = -1, second = -1;
  for (const double x : mean) {
    if (x > first) {
      second = first;
      first = x;
    } else {
      second = std::max(second, x);
    }
  }
  return first - second;
}

namespace {

Score least_confidence_score(const Passes& x, const ScoreOptions& o) {
  return score_sites(x, o, {"least_confidence"}, [](const Site& s, auto v) { v[0] = least_confidence(s.mean); });
}
Score margin_score(const Passes& x, const ScoreOptions& o) {
  return score_sites(x, o, {"negative_margin"}, [](const Site& s, auto v) { v[0] = -margin(s.mean); });
}
Score entropy_score(const Passes& x, const ScoreOptions& o) {
  return score_sites(x, o, {"entropy"}, [](const Site& s, auto v) { v[0] = entropy(s.mean); });
}

}  // namespace

constinit const Strategy least_confidence_strategy{.name = "least_confidence",
                                                   .alias = "lc",
                                                   .formula = "1 - max_c mean_t p[t,c]",
                                                   .source = "Lewis and Gale 1994; Wang et al. 2017 (CEAL)",
                                                   .doc = "Asks for the images whose best guess is the least probable.",
                                                   .needs = {},
                                                   .compute = least_confidence_score};
constinit const Strategy margin_strategy{
    .name = "margin",
    .alias = "",
    .formula = "-(p_(1) - p_(2)), the two largest of mean_t p[t,c]",
    .source = "Scheffer et al. 2001; Wang et al. 2017 (CEAL)",
    .doc =
        "Asks for the images where the best two classes are closest. The score is the negated margin, so that "
        "higher is asked first, as for every other strategy.",
    .needs = {},
    .compute = margin_score};
constinit const Strategy entropy_strategy{
    .name = "entropy",
    .alias = "max_entropy",
    .formula = "H = -sum_c pbar_c ln pbar_c, pbar = mean_t p[t,c]",
    .source = "Shannon 1948; Gal, Islam and Ghahramani 2017",
    .doc =
        "Asks for the images whose averaged prediction is the most spread out: from 0 (sure) to ln C (no idea). It "
        "counts doubt that no label can remove as much as doubt that a label would.",
    .needs = {},
    .compute = entropy_score};
constinit const Strategy variation_ratios_strategy{
    .name = "variation_ratios",
    .alias = "vr",
    .formula = "1 - max_c mean_t p[t,c]",
    .source = "Gal, Islam and Ghahramani 2017, on the predictive mean",
    .doc =
        "The variation ratio as that paper prints it. It equals least_confidence; variation_ratios_mode counts "
        "votes instead.",
    .needs = {},
    .compute = least_confidence_score};

constinit const Strategy ceal_strategy{
    .name = "ceal",
    .alias = "cost_effective",
    .formula = "-sum_c pbar_c log pbar_c; images with less than 0.005 - 0.00033 r in round r train with argmax_c pbar_c",
    .source = "Wang et al. 2017 (CEAL), delta as for Caltech-256",
    .doc =
        "Asks for the most doubtful images, as entropy does, and trains besides on those that leave no doubt, with the "
        "network's own answer for the label, which costs nothing. Such a label serves one training and is forgotten. "
        "--pseudo-labels changes the threshold.",
    .needs = {.classification_only = true, .pseudo_labels = 0.005, .pseudo_decay = 0.00033},
    .compute = entropy_score};

}  // namespace querent::al
