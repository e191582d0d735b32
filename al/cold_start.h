// The first labels, before there is a model that could be asked: a strategy that reads features only (coreset,
// typiclust, probcover) chooses on thumbnails of the images.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "al/batch.h"
#include "data/loader.h"

namespace querent::al {

constexpr int64_t thumbnail_side = 16;

// Ids of `count` of the cases, in the order to ask. Error: a strategy that needs a model.
std::vector<std::string> cold_start(const Strategy&, const data::Loader&, std::span<const int64_t> cases, int64_t count,
                                    uint64_t seed);
// By name, with that error: for checking before anything is trained.
const Strategy& find_cold_start(std::string_view name);

}  // namespace querent::al
