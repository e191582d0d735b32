// The nearest film. The distance of two films is the root mean square difference of their features,
//   |a - b| / sqrt(d),
// so that it has one scale whatever the number of features: standardised and independent features are sqrt(2) apart.
#pragma once
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "al/realism/feature_matrix.h"

namespace querent::al {

struct Neighbour {
  int64_t index = -1;  // row of the references; -1: every one was left out
  double distance = std::numeric_limits<double>::infinity();
};
double film_distance(std::span<const double> a, std::span<const double> b);

// For each query the nearest reference of another group; group -1 is no group. Ties: the lower row.
std::vector<Neighbour> nearest(const FeatureMatrix& queries, std::span<const int64_t> query_groups,
                               const FeatureMatrix& references, std::span<const int64_t> reference_groups);

}  // namespace querent::al
