// Does the source of synthetic films repeat its training films? If it does not, samples lie about as far from the
// training films as films it has never seen (Meehan, Chaudhuri and Dasgupta, "A Non-Parametric Test to Detect
// Data-Copying in Generative Models", AISTATS 2020: the statistic C_T):
//
//   z of the Mann-Whitney test of {distance of a sample to its nearest training film}
//                          against {distance of a held-out film to its nearest training film},
//
// far below 0 when samples lie nearer. Besides, each sample by itself is a copy when it lies nearer to a training film
// than half of the distance of the closest two real films of different patients. (Nearer than that closest pair, not
// half of it, is no proof: many samples make many pairs.)
//
// A variant is meant to be like the film it was made from. So the base of a sample, with all films of the same patient,
// is left out here; the distance to the base is a figure of its own. And variants of one base are no independent draws:
// only one of each base enters the test, while copies are looked for among all.
//
// What to keep in mind: films smoother than real ones lie nearer to everything in pixel space without copying anything.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "al/realism/neighbours.h"
#include "al/statistics.h"

namespace querent::al {

struct FilmGroups {
  const FeatureMatrix& films;
  std::span<const int64_t> patients;  // group of each film
};

struct Memorisation {
  std::vector<Neighbour> samples;               // nearest training film of another patient than the base's
  std::vector<double> tested, held_out, train;  // distances to the nearest training film (train: of another patient)
  MannWhitney test;                             // tested against held_out
  double closest_pair = 0;                      // two training films of different patients
  int64_t nearer_than_pair = 0;
  std::vector<int64_t> copies;  // samples
  static constexpr double level = 0.01;
  bool nearer() const { return test.p < level; }
};
// `bases`: number of each sample's base, -1 unknown. `samples.patients`: the base's patient, -1 unknown: nothing is
// left out. Errors: fewer than 8 samples of different bases or held-out films, or training films of one patient only.
Memorisation memorisation(const FilmGroups& samples, std::span<const int64_t> bases, const FilmGroups& train,
                          const FilmGroups& held_out);

}  // namespace querent::al
