// Kernel distance (KID) between two sets of features: the unbiased squared maximum mean discrepancy with a cubic
// polynomial kernel (Binkowski et al., "Demystifying MMD GANs", ICLR 2018),
//
//   k(x,y) = (x.y / d + 1)^3
//   MMD^2  = mean_{i != j} k(x_i,x_j) + mean_{i != j} k(y_i,y_j) - 2 mean_{i,j} k(x_i,y_j)
//
// Two sets from one distribution give 0 on average, whatever their sizes; single values may be negative.
#pragma once
#include <cstdint>

#include "al/realism/feature_matrix.h"
#include "al/statistics.h"

namespace querent::al {

// At least 2 rows each.
double kernel_distance(const FeatureMatrix& x, const FeatureMatrix& y);

// Averaged over blocks: both sets are shuffled and cut into `blocks` parts without a common film (fewer where a part
// would have less than 2 films), so the estimates of the parts are independent and n, mean, sd and the t interval of
// Summary hold (B-test: Zaremba et al., NIPS 2013). The mean is unbiased too.
Summary kernel_distance_blocks(const FeatureMatrix& x, const FeatureMatrix& y, uint64_t seed, int64_t blocks = 10);

}  // namespace querent::al
