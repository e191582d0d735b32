// Baselines that do not look at uncertainty. A number u in [0,1) is drawn from (seed, case id) alone, so the order of
// the pool, its size and the thread count do not change which images are asked.
//
//   random              u
//   stratified_random   u, and equal numbers are taken per PREDICTED class (labels of the pool are not known)
//   foreground_random   log(u) / w,  w = 0.02 + mean predicted foreground probability
//
// Taking the k largest log(u)/w is weighted sampling without replacement (Efraimidis and Spirakis 2006): an image with
// twice the predicted foreground is about twice as likely to be drawn, as patch samplers in segmentation oversample
// foreground. The 0.02 keeps images whose foreground the model misses in the draw.
#include <cmath>
#include <numeric>

#include "al/acquisition/family.h"
#include "tensor/rng.h"

namespace querent::al {
namespace {

constexpr double missed_foreground = 0.02;

double draw(const Passes& x, const ScoreOptions& o) { return Rng(o.seed).fork("acquisition").fork(x.id).uniform(); }

Score random_score(const Passes& x, const ScoreOptions& o) { return {draw(x, o), predicted_class(x), {}}; }

Score foreground_score(const Passes& x, const ScoreOptions& o) {
  const std::vector<double> mean = mean_prediction(x);
  const double area = std::accumulate(mean.begin(), mean.end(), 0.0) / static_cast<double>(mean.size());
  return {std::log(1 - draw(x, o)) / (missed_foreground + area), 0, {{"foreground_fraction", area}}};
}

}  // namespace

constinit const Strategy random_strategy{
    .name = "random",
    .alias = "",
    .formula = "u ~ U[0,1) from (seed, case id)",
    .source = "baseline",
    .doc =
        "Every image is equally likely. The baseline each strategy has to beat; it is surprisingly strong when the "
        "pool is balanced and clean.",
    .needs = {.model = false},
    .compute = random_score};
constinit const Strategy stratified_random_strategy{
    .name = "stratified_random",
    .alias = "class_random",
    .formula = "u ~ U[0,1), equal numbers per predicted class argmax_c mean_t p[t,c]",
    .source = "baseline",
    .doc =
        "Random, but with equal shares for each class the model predicts: a rare class is not drowned by a common "
        "one. With segmentation there is one group and it equals random.",
    .needs = {.stratify = true},
    .compute = random_score};
constinit const Strategy foreground_random_strategy{
    .name = "foreground_random",
    .alias = "fg_random",
    .formula = "log(u) / (0.02 + mean foreground probability)",
    .source = "Efraimidis and Spirakis 2006 (weighted sampling without replacement)",
    .doc =
        "Random, with images drawn in proportion to the foreground the model sees in them: images that show the "
        "organ teach more than images that do not. A stronger baseline than random for segmentation.",
    .needs = {.segmentation_only = true},
    .compute = foreground_score};

}  // namespace querent::al
