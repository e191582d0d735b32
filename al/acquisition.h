// Acquisition: which image should be labelled next? A strategy is a score, a batch selector, or a score that a batch
// selector reads. The score is a pure function of what the model said about ONE image in T stochastic passes; a HIGHER
// score is asked FIRST (margin is negated for that reason). The batch selector looks at all candidates together
// (al/batch.h).
//
//   classification  p[t,c]    class probabilities of pass t, [T,C]
//   segmentation    p[t,h,w]  foreground probability of pass t, [T,H,W]; each pixel is scored as two classes {1-p, p}
//                             and the map of scores is reduced to one number (al/reduce.h)
//
// Formulas use natural logarithms with 0 log 0 = 0. A probability or a score that is not finite is an Error that names
// the case; it is never replaced by a large number.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "al/reduce.h"

namespace querent::al {

// What the model said about one image. `logit` and `log_variance` may be empty; a strategy that needs them says so.
struct Passes {
  std::string_view id;
  int64_t passes = 0, classes = 0;           // T, C (C = 2 for segmentation)
  int64_t height = 0, width = 0;             // 0 for classification
  std::span<const float> p = {};             // [T,C] or [T,H,W]
  std::span<const float> logit = {};         // [T,C] or [T,H,W]: before softmax or sigmoid
  std::span<const float> log_variance = {};  // s = log sigma^2 of the logit: [T,C] or [T] or [T,H,W]
  bool segmentation() const { return height > 0; }
};
Passes classification_passes(std::string_view id, int64_t T, int64_t C, std::span<const float> p,
                             std::span<const float> logit = {}, std::span<const float> log_variance = {});
Passes segmentation_passes(std::string_view id, int64_t T, int64_t H, int64_t W, std::span<const float> p,
                           std::span<const float> logit = {}, std::span<const float> log_variance = {});

struct ScoreOptions {
  uint64_t seed = 0;         // random strategies and sampled logits draw from (seed, case id): independent of order
  Reduction reduction = {};  // segmentation only
  int64_t samples = 16;      // logit samples per pass of kendall_gal_sampled
  double beta = 1;           // how much the score counts against the noise (power, softmax, softrank) or the density
  int64_t configurations = 10000;  // batchbald: label configurations of a batch kept, all of them or a sample
};

struct Score {
  double value = 0;
  int64_t group = 0;                                  // predicted class (argmax of the mean), for stratified selection
  std::vector<std::pair<std::string, double>> parts;  // named ingredients, reduced like the value: why it was asked
};

struct Needs {
  bool model = true;            // false: no prediction is read
  bool several_passes = false;  // T >= 2, else the score is 0 for every image
  bool logit = false, log_variance = false;
  bool stratify = false;  // select equal numbers per Score::group (top_k_stratified)
  bool segmentation_only = false, classification_only = false;
  // What a batch selector reads besides the scores:
  bool probabilities = false;  // p [T,C] of every candidate
  bool one_pass = false;       // one pass without dropout instead of T
  bool features = false;       // the penultimate features of every candidate
  bool stages = false;         // with `features`: the global averages of all the network's stages instead
  bool labelled = false;       // and of every labelled image
  bool labels = false;         // and the classes of those
  bool losses = false;         // and their losses
  // What belongs to the method besides the choice; --ensemble and --pseudo-labels say otherwise:
  int64_t committee = 0;      // predictions of so many networks, all but the first trained on resampled labels, are the passes
  double pseudo_labels = 0;   // entropy below which the network's own answers are trained on (al/pseudo_labels.h)
  double pseudo_decay = 0;    // what that falls by each round
};

struct PoolView;
struct Pick;

struct Strategy {
  std::string_view name, alias, formula, source, doc;
  Needs needs;
  Score (*compute)(const Passes&, const ScoreOptions&) = nullptr;  // none: the selector needs no score
  std::vector<Pick> (*select)(const PoolView&, int64_t k, const ScoreOptions&) = nullptr;  // none: the k best scores
};

// Every strategy, in the order they are listed to the user.
std::span<const Strategy* const> strategies();
// By name or alias; '-' and '_' are the same. Unknown: an Error with the nearest match and the valid names.
const Strategy& find_strategy(std::string_view name);
// Shapes, finiteness, range and needs: an Error that names the case.
void check_passes(const Strategy&, const Passes&);
// check_passes, then the score; that of a strategy without one is 0.
Score score(const Strategy&, const Passes&, const ScoreOptions& = {});
// "bald 0.274 (entropy 0.611, expected_entropy 0.337)": one line for the journal and the gallery.
std::string reason(const Strategy&, const Score&);
// Formula, source, one paragraph and a worked example: the text of `querent explain bald`.
std::string explain(const Strategy&);

// One site: an image (classification) or a pixel (segmentation), T passes over C classes.
struct Site {
  int64_t T = 0, C = 0, L = 0;              // L logits: C for classification, 1 for segmentation (the foreground's)
  std::span<const double> p;                // [T,C]
  std::span<const double> mean;             // [C], mean over passes
  std::span<const double> logit, variance;  // [T,L] or empty; variance = exp(log_variance)
};

// The formulas at one site.
double entropy(std::span<const double> p);              // -sum_c p log p
double expected_entropy(const Site&);                   // mean_t H(p_t)
double mutual_information(const Site&);                 // BALD: H(mean p) - mean_t H(p_t), at least 0
double least_confidence(std::span<const double> mean);  // 1 - max_c p
double margin(std::span<const double> mean);            // p_(1) - p_(2): small = unsure (NOT negated here)
double mode_variation_ratio(const Site&);               // 1 - (passes whose argmax is the modal class) / T
double vote_entropy(const Site&);                       // -sum_c v_c log v_c, v_c = share of passes with argmax c
double mean_kl(const Site&);                            // mean_t KL(p_t || mean p)
double mean_std(const Site&);                           // (1/C) sum_c sqrt(mean_t p^2 - (mean_t p)^2)
// Var = mean(y^2) - mean(y)^2 + mean(sigma^2), by its two terms.
struct Variance {
  double epistemic = 0, aleatoric = 0;
  double total() const { return epistemic + aleatoric; }
};
Variance predictive_variance(std::span<const double> y, std::span<const double> sigma2 = {});  // [T], [T]
Variance probability_variance(const Site&);  // y = p, sigma^2 carried from logit to probability; mean over classes
Variance logit_variance(const Site&);        // y = logit, sigma^2 as predicted; mean over logits
// Logits drawn from N(logit, sigma^2) with noise [S,L]; Var_t(E p) and E_t(Var p), mean over classes.
Variance sampled_variance(const Site&, std::span<const double> noise);

}  // namespace querent::al
