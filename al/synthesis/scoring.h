// How uncertain a Bayesian network is about a film (Mahapatra et al., MICCAI 2018, after Kendall and Gal 2017):
//
//   Var(y) ~ (1/T) sum_t y_t^2 - ((1/T) sum_t y_t)^2  +  (1/T) sum_t s_t^2        models/bayes.h
//
// of the probability y of T MC-dropout passes. Classification: y of the positive class (two classes: the second; more:
// the one with the highest mean). Segmentation: the mean over all pixels. With a variance head all
// passes see the same draws of logit noise, so that their scatter does not count as epistemic.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "al/synthesis/source.h"
#include "data/transform.h"
#include "models/model.h"

namespace querent::al {

enum class FilmScore { total, epistemic, aleatoric, random };
std::string_view name_of(FilmScore s);

struct FilmScoring {
  FilmScore score = FilmScore::total;
  int64_t passes = 20;  // T
  uint64_t seed = 0;    // dropout masks are functions of (seed, id, pass), random scores of (seed, id)
};

// One score for each row of x [N,H,W,1], normalised; `ids` names the rows, and a row's score does not depend on others.
std::vector<double> score_films(const Model& model, const Tensor& x, std::span<const std::string> ids,
                                const FilmScoring& o);
// Synthetic films as a network reads them: [N,H,W,1].
Tensor film_batch(std::span<const SyntheticFilm> films, data::Normalization norm);

}  // namespace querent::al
