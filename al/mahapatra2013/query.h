// Which superpixels to ask next. After Mahapatra et al. (MICCAI 2013), as recalled: uncertainty and context, weighted
// by information density.
//
//   I(s) = (H(p_s) + context * C(s)) * density(s)^beta
//   H      entropy of the forest's probability, in bits
//   C      sum_j w_sj |p_s - p_j| / sum_j w_sj over the superpixels that touch s: those that look like it (w, film.h)
//   and
//          are judged otherwise
//
// With context 0 and beta 0 it is the plain uncertainty.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "al/classic/superpixels.h"

namespace querent::al {

double entropy_bits(double p);
// borders and their weights; p and the result are per superpixel. 0 for one that touches none.
std::vector<double> context_disagreement(std::span<const double> p, std::span<const Border> borders,
                                         std::span<const double> weight);
struct QueryWeights {
  double context = 1, beta = 1;
};
std::vector<double> informativeness(std::span<const double> p, std::span<const double> disagreement,
                                    std::span<const double> density, const QueryWeights& weights);

// The `count` most informative of the unlabelled superpixels, no two of which touch: one answer tells much of what the
// next would. Where these do not suffice, the rest is filled up by informativeness. Ties by a seeded hash.
std::vector<int64_t> choose_superpixels(std::span<const double> score, std::span<const uint8_t> labelled,
                                        std::span<const Border> borders, int64_t count, uint64_t seed);

}  // namespace querent::al
