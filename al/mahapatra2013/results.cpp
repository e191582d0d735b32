#include "al/mahapatra2013/results.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "al/statistics.h"
#include "data/split.h"
#include "tensor/error.h"
#include "tensor/json.h"

namespace querent::al {
namespace {

using nlohmann::json;

json summary_json(const std::vector<double>& values) {
  const Summary s = summarize(values);
  return {{"n", s.n}, {"mean", s.mean}, {"sd", s.sd}, {"low", s.ci.low}, {"high", s.ci.high}};
}

// An arm is a part of the units of a name: {"forest": metrics, "cut": metrics, ...}.
struct ArmSource {
  const char *arm, *unit, *part, *val;
};
constexpr ArmSource sources[] = {
    {"random", "random", "forest", "val_forest"}, {"propagation", "propagation", "forest", "val_forest"},
    {"active", "active", "forest", "val_forest"}, {"context", "context", "forest", "val_forest"},
    {"graph_cut", "context", "cut", "val_cut"},   {"full", "full", "forest", "val_forest"},
    {"full_cut", "full", "cut", "val_cut"},       {"superpixels", "full", "superpixels", "val_superpixels"}};

json arm_json(const RunFolder& folder, const MahapatraConfig& c, const ArmSource& source) {
  std::map<int64_t, std::map<std::string, std::vector<double>>> at;
  json seeds = json::array();
  for (int64_t k = 0; k < c.seeds; ++k) {
    const uint64_t seed = c.seed + static_cast<uint64_t>(k);
    json points = json::array();
    for (int64_t round = 0;; ++round) {
      const std::string name = mahapatra_unit(source.unit, seed, round);
      if (!folder.has_unit(name)) break;
      const json unit = folder.read_unit(name);
      const json& metrics = unit.at(source.part);
      for (const auto& [metric, value] : metrics.items()) at[unit.at("labels")][metric].push_back(value);
      points.push_back({{"labels", unit.at("labels")}, {"metrics", metrics}, {"val_dice", unit.at(source.val)}});
    }
    if (!points.empty()) seeds.push_back({{"seed", seed}, {"points", points}});
  }
  json points = json::array();
  const bool single = std::string(source.unit) == "full";  // the number of labels differs by seed: one point for all
  if (single && !at.empty()) {
    std::map<std::string, std::vector<double>> all;
    std::vector<double> labels;
    for (const json& s : seeds) {
      labels.push_back(s.at("points")[0].at("labels"));
      for (const auto& [metric, value] : s.at("points")[0].at("metrics").items()) all[metric].push_back(value);
    }
    json metrics;
    for (const auto& [metric, values] : all) metrics[metric] = summary_json(values);
    points.push_back({{"labels", summarize(labels).mean}, {"metrics", metrics}});
  } else {
    for (const auto& [labels, by_metric] : at) {
      json metrics;
      for (const auto& [metric, values] : by_metric) metrics[metric] = summary_json(values);
      points.push_back({{"labels", labels}, {"metrics", metrics}});
    }
  }
  return {{"arm", source.arm}, {"points", points}, {"seeds", seeds}};
}

// By seed, the mean Dice over the rounds; only of curves that are complete.
std::map<uint64_t, double> levels(const json& arm, size_t rounds) {
  std::map<uint64_t, double> level;
  for (const json& s : arm.at("seeds")) {
    if (s.at("points").size() != rounds) continue;
    double sum = 0;
    for (const json& p : s.at("points")) sum += p.at("metrics").at("dice").get<double>();
    level[s.at("seed")] = sum / static_cast<double>(rounds);
  }
  return level;
}

json differences(const json& arms, size_t rounds) {
  json list = json::array();
  for (size_t i = 1; i < 5; ++i) {
    const auto before = levels(arms[i - 1], rounds), now = levels(arms[i], rounds);
    std::vector<double> gain;
    for (const auto& [seed, level] : now)
      if (before.contains(seed)) gain.push_back(level - before.at(seed));
    if (gain.empty()) continue;
    json d = summary_json(gain);
    d["arm"] = arms[i].at("arm"), d["over"] = arms[i - 1].at("arm");
    list.push_back(std::move(d));
  }
  return list;
}

}  // namespace

std::string mahapatra_unit(const std::string& arm, uint64_t seed, int64_t round) {
  return text("{}_s{}_r{}", arm, seed, round);
}

void write_mahapatra_results(const RunFolder& folder, const MahapatraConfig& c, const data::Dataset& dataset) {
  json arms = json::array();
  for (const ArmSource& s : sources) arms.push_back(arm_json(folder, c, s));
  json data = {{"path", c.data}};
  for (const char* split : {"train", "val", "test"}) data[split] = data::cases_of(dataset, split).size();
  folder.write_json("mahapatra2013.json", {{"command", c.command},
                                           {"version", c.version},
                                           {"config", parse_json(c.json())},
                                           {"data", data},
                                           {"arms", arms},
                                           {"differences", differences(arms, c.rounds().size())}});
}

}  // namespace querent::al
