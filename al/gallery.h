// Pictures for the report: what was asked, what the network thought, where it doubted, where it failed.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

#include "al/learner.h"

namespace querent::al {

// Adds "image", "truth", "prediction", "epistemic" and "aleatoric" (paths relative to `folder`, PNG files under
// gallery/<prefix>/) to the first few items; classification items get "probabilities" instead of maps.
void add_pictures(nlohmann::json& items, const Learner& learner, const data::Loader& loader, std::span<const int64_t> cases,
                  const std::string& folder, const std::string& prefix, int64_t passes, uint64_t seed);

// Adds "nearest" to the same items: the labelled image that the network sees as most alike (its penultimate features).
void add_nearest(nlohmann::json& items, const Learner& learner, const data::Loader& loader, std::span<const int64_t> cases,
                 std::span<const int64_t> labelled);

// The worst dozen of `cases` by Dice (seg) or by the probability given to the true class (cls), with pictures.
nlohmann::json worst_cases(const Learner& learner, const data::Loader& loader, std::span<const int64_t> cases,
                           const std::string& folder);

}  // namespace querent::al
