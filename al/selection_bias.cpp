#include "al/selection_bias.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <set>

#include "tensor/error.h"

namespace querent::al {
namespace {

std::string age_band(const std::string& value) {
  double age = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), age);
  if (error != std::errc() || !(age >= 0 && age < 200)) return value;
  const int low = static_cast<int>(age) / 20 * 20;
  return text("{}-{}", low, low + 19);
}

bool is_age(std::string name) {
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  return name == "age" || name.starts_with("age_") || name.ends_with("_age") || name.ends_with(" age");
}

}  // namespace

Groups groups_of(const data::Dataset& d) {
  Groups groups;
  size_t images = 0;
  for (const data::Case& c : d.cases) {
    if (c.split != "train") continue;
    ++images;
    if (!c.label.empty()) groups["class"][c.id] = c.label;
    for (const auto& [column, value] : c.extra) {
      if (!value.empty()) groups[column][c.id] = is_age(column) ? age_band(value) : value;
    }
  }
  std::erase_if(groups, [&](const auto& group) {
    std::set<std::string> values;
    for (const auto& [id, value] : group.second) values.insert(value);
    return values.size() < 2 || values.size() > 8 || 2 * group.second.size() < images;
  });
  return groups;
}

nlohmann::json selection_counts(const Groups& groups, const std::vector<std::string>& first,
                                const std::vector<std::string>& asked) {
  const std::set<std::string> given(first.begin(), first.end()), chosen(asked.begin(), asked.end());
  nlohmann::json counts = nlohmann::json::object();
  for (const auto& [column, values] : groups) {
    std::map<std::string, std::pair<int64_t, int64_t>> of;
    for (const auto& [id, value] : values) {
      if (given.contains(id)) continue;
      of[value].first += chosen.contains(id);
      ++of[value].second;
    }
    for (const auto& [value, n] : of) counts[column][value] = {{"asked", n.first}, {"pool", n.second}};
  }
  return counts;
}

}  // namespace querent::al
