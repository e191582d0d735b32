// BADGE (Ash, Zhang, Krishnamurthy, Langford and Agarwal 2020): "batch active learning by diverse gradient embeddings".
//
//   g_i = d loss(x_i, y_i) / d W,  y_i = argmax p_i,  W = weights of the last layer
//       = (p_i - onehot(y_i)) x h_i                   outer product with the penultimate features h, [C,D]
//
// The norm of g is large where the model is unsure, its direction says about what; k-means++ seeding on the g takes
// images that are both far from 0 and far from each other. g has C D entries and is never written out:
//
//   |g_i - g_j|^2 = |r_i|^2 |h_i|^2 - 2 (r_i . r_j)(h_i . h_j) + |r_j|^2 |h_j|^2,   r = p - onehot(y)
//
// The first centre is the largest |g|, as in the authors' code (k-means++ would draw it).
#include <algorithm>
#include <cmath>
#include <numeric>

#include "al/acquisition/family.h"
#include "al/selection/family.h"

namespace querent::al {
namespace {

double dot(std::span<const double> a, std::span<const double> b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

std::vector<Pick> select(const PoolView& view, int64_t k, const ScoreOptions& o) {
  const Points features = candidate_points(view);
  std::vector<std::vector<double>> residual;
  std::vector<double> norm2;
  for (size_t i = 0; i < view.cases.size(); ++i) {
    residual.push_back(label_residual(
        mean_prediction(classification_passes(view.cases[i].id, view.passes, view.classes, view.cases[i].p))));
    const auto h = features.row(static_cast<int64_t>(i));
    norm2.push_back(dot(residual[i], residual[i]) * dot(h, h));
  }
  const auto first = static_cast<size_t>(std::max_element(norm2.begin(), norm2.end()) - norm2.begin());
  const auto distance = [&](size_t a, size_t b) {
    return gradient_distance(residual[a], features.row(static_cast<int64_t>(a)), residual[b],
                             features.row(static_cast<int64_t>(b)));
  };
  std::vector<Pick> picks;
  for (const Seeding& s : plus_plus(norm2.size(), k, first, distance, draws_of(view, o, "badge"))) {
    const double norm = std::sqrt(norm2[s.index]);
    picks.push_back({s.index,
                     {.value = picks.empty() ? norm : std::sqrt(s.squared_distance),
                      .group = 0,
                      .parts = {{"gradient_norm", norm}}}});
  }
  return picks;
}

}  // namespace

std::vector<double> label_residual(std::span<const double> p) {
  std::vector<double> r(p.begin(), p.end());
  r[static_cast<size_t>(std::max_element(p.begin(), p.end()) - p.begin())] -= 1;
  return r;
}

double gradient_distance(std::span<const double> ra, std::span<const double> ha, std::span<const double> rb,
                         std::span<const double> hb) {
  const double d2 = dot(ra, ra) * dot(ha, ha) - 2 * dot(ra, rb) * dot(ha, hb) + dot(rb, rb) * dot(hb, hb);
  return std::max(0.0, d2);
}

constinit const Strategy badge_strategy{
    .name = "badge",
    .alias = "",
    .formula = "k-means++ seeding on g = (p - onehot(argmax p)) x h,  h = penultimate features",
    .source = "Ash et al. 2020 (BADGE)",
    .doc =
        "Looks at the gradient that the last layer would get if the model's own guess were the label: long where it is "
        "unsure, pointing to what it is unsure about. Takes images with long gradients that differ from each other. "
        "The value shown is the distance to the nearest gradient taken before.",
    .needs = {.classification_only = true, .probabilities = true, .one_pass = true, .features = true},
    .select = select};

}  // namespace querent::al
