// Frechet distance between the Gaussians fitted to two sets of features (Heusel et al., "GANs Trained by a Two
// Time-Scale Update Rule Converge to a Local Nash Equilibrium", NIPS 2017):
//
//   FID = |m1 - m2|^2 + tr(S1) + tr(S2) - 2 tr((S1 S2)^{1/2})
//
// tr((S1 S2)^{1/2}) is the sum of the roots of the eigenvalues of S1^{1/2} S2 S1^{1/2}. With fewer films than features
// (rank below d) the same number is the sum of the singular values of A B^T / sqrt((n1-1)(n2-1)), A and B the centred
// features, which needs no d x d matrix at all.
//
// The estimate is biased upwards: two sets from one distribution have FID > 0, the more so the fewer films and the more
// features (Binkowski et al., ICLR 2018). So a value means something only beside the value of two real sets of the same
// sizes (halves.h), and never beside published ones, whose features come from another network.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "al/realism/feature_matrix.h"
#include "al/statistics.h"

namespace querent::al {

struct Gaussian {
  std::vector<double> mean;        // [d]
  std::vector<double> covariance;  // [d,d], divided by n - 1
};
Gaussian fit_gaussian(const FeatureMatrix& x);
double frechet_distance(const Gaussian& a, const Gaussian& b);
// At least 2 rows each; never negative.
double frechet_distance(const FeatureMatrix& x, const FeatureMatrix& y);

// Basic bootstrap interval [2 F - q_high, 2 F - q_low], cut at 0, over whole groups of rows (statistics.h, members).
// Drawing with replacement adds the small-sample bias once more; reflecting the quantiles takes both biases off to
// first order, so the interval is one of the unbiased value and usually lies below the estimate itself.
Interval frechet_interval(const FeatureMatrix& x, std::span<const int64_t> x_groups, const FeatureMatrix& y,
                          std::span<const int64_t> y_groups, uint64_t seed, int64_t resamples = 100,
                          double level = 0.95);

}  // namespace querent::al
