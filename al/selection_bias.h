// Whom does a strategy ask about? Counts of what was asked for beside what there was, by class and by what the data say
// of each patient (sex, view, age, scanner: every column with 2 to 8 values; ages in bands of 20 years).
#pragma once
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "data/manifest.h"

namespace querent::al {

using Groups = std::map<std::string, std::map<std::string, std::string>>;  // column -> case id -> value
Groups groups_of(const data::Dataset&);  // of the training images; a column that half of them lack is left out

// {"sex": {"F": {"asked": 3, "pool": 40}, ...}, ...}: the pool is every training image that was not among the `first`
// labels.
nlohmann::json selection_counts(const Groups&, const std::vector<std::string>& first,
                                const std::vector<std::string>& asked);

}  // namespace querent::al
