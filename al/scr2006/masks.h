// From many masks to one, and from a posterior to a mask with the right number of parts.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "data/image.h"

namespace querent::al {

// Pixels inside at least half of the masks: the mean shape of a training set, and the majority of three methods. Masks
// of 0 and 1, one size, at least one.
std::vector<uint8_t> mean_mask(std::span<const std::vector<uint8_t>> masks);

// The `regions` largest regions (4-connected; of equal ones the first) of a mask [H,W,1], their holes filled. [H,W].
std::vector<uint8_t> largest_filled(const Image& mask, int64_t regions);
// Post-processing of a posterior: smoothed by 1/128 of the side, cut at 0.5, largest_filled.
std::vector<uint8_t> clean_mask(const Image& posterior, int64_t regions);

}  // namespace querent::al
