// Which films the source and the target task learn from.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "data/manifest.h"

namespace querent::al {

// No patient in both tasks: one with films for both goes to the source with the probability `share` when the target's
// films are to train on, else to the target. Cases of the other task are removed.
void deal_patients(data::Dataset& target, data::Dataset& source, double share, uint64_t seed);

// round(share * n), at least one, of the n films of each class among `train`, the first in an order drawn from `seed`.
std::vector<int64_t> share_of_films(const data::Dataset& dataset, std::span<const int64_t> train, double share,
                                    uint64_t seed);

// Index of the class of each case, -1 without one.
std::vector<int64_t> labels_of(const data::Dataset& dataset, std::span<const int64_t> cases);

}  // namespace querent::al
