// What a distance between real and synthetic films is to be compared with: the same distance between two halves of the
// real films, at the same sizes. Each repeat cuts the patients in two, A and B, and draws
//
//   real       m films of B
//   synthetic  m samples, one of each base and none whose base is of a patient of A, so that variants of a film are
//              neither counted as independent films nor compared with that very film
//
// value = distance(A, synthetic), floor = distance(A, real). Both have the same bias, because the sizes agree.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "al/realism/feature_matrix.h"
#include "al/statistics.h"

namespace querent::al {

struct Halves {
  std::vector<int64_t> a, b, synthetic;  // rows; b and synthetic are equally many
};
// patients[i]: group of real film i. bases[j]: the real film that sample j was made from, -1 unknown (then it counts as
// a base of its own that is in neither half). Error: fewer than `fewest` films on a side.
std::vector<Halves> draw_halves(std::span<const int64_t> patients, std::span<const int64_t> bases, int64_t repeats,
                                uint64_t seed, int64_t fewest = 8);

struct Compared {
  int64_t films = 0;       // m, the mean over repeats
  Summary value, floor;    // over repeats; `ci` holds the 2.5 % and 97.5 % quantiles of the repeats
  double floor_limit = 0;  // 95 % quantile of the floor
  bool distinguishable() const { return value.mean > floor_limit; }
};
using SetDistance = std::function<double(const FeatureMatrix&, const FeatureMatrix&)>;
Compared compare_halves(const FeatureMatrix& real, const FeatureMatrix& samples, std::span<const Halves> draws,
                        const SetDistance& distance);

}  // namespace querent::al
