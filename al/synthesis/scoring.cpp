#include "al/synthesis/scoring.h"

#include <algorithm>
#include <array>

#include "models/bayes.h"
#include "tensor/error.h"
#include "tensor/rng.h"

namespace querent::al {
namespace {

// The output whose variance counts: [C] means of one image.
size_t output_of_interest(std::span<const float> mean) {
  if (mean.size() <= 2) return mean.size() - 1;
  return static_cast<size_t>(std::max_element(mean.begin(), mean.end()) - mean.begin());
}

}  // namespace

std::string_view name_of(FilmScore s) {
  constexpr std::array<std::string_view, 4> names = {"total", "epistemic", "aleatoric", "random"};
  return names[static_cast<size_t>(s)];
}

std::vector<double> score_films(const Model& model, const Tensor& x, std::span<const std::string> ids,
                                const FilmScoring& o) {
  std::vector<double> scores;
  if (o.score == FilmScore::random) {
    for (const std::string& id : ids) scores.push_back(Rng(o.seed).fork("random score").fork(id).uniform());
    return scores;
  }
  std::vector<int64_t> keys;
  for (const std::string& id : ids) keys.push_back(static_cast<int64_t>(hash_name(id) >> 1));
  const Posterior posterior =
      predict_posterior(model, x, keys, {.passes = o.passes, .seed = o.seed, .keep_passes = false});
  const Tensor& variance = o.score == FilmScore::total       ? posterior.total
                           : o.score == FilmScore::epistemic ? posterior.epistemic
                                                             : posterior.aleatoric;
  if (model.segments) return Posterior::per_image(variance);
  for (int64_t i = 0; i < x.dim(0); ++i) {
    const std::vector<float> mean = posterior.mean.batch(i, 1).host();
    scores.push_back(static_cast<double>(variance.batch(i, 1).host()[output_of_interest(mean)]));
  }
  return scores;
}

Tensor film_batch(std::span<const SyntheticFilm> films, data::Normalization norm) {
  check(!films.empty(), "films: an empty list makes no batch");
  const Image& first = films[0].image;
  const float factor = 1.0f / norm.std;
  std::vector<float> x;
  x.reserve(films.size() * first.pixels.size());
  for (const SyntheticFilm& f : films) {
    for (const float v : f.image.pixels) x.push_back((v - norm.mean) * factor);
  }
  return Tensor::from(std::span<const float>(x), {static_cast<int64_t>(films.size()), first.height, first.width, 1});
}

}  // namespace querent::al
