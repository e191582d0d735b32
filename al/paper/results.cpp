#include "al/paper/results.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "al/evaluation.h"
#include "al/paper/arms.h"
#include "al/statistics.h"
#include "data/split.h"
#include "tensor/error.h"
#include "tensor/json.h"
#include "tensor/run.h"

namespace querent::al {
namespace {

using nlohmann::json;

constexpr double target_share = 0.99;  // of full supervision's metric

// The last word of each seed on one arm: the arms' entries of paper.json, filtered.
std::vector<json> entries(const json& arms, const std::string& arm, double fraction) {
  std::vector<json> found;
  for (const json& a : arms) {
    if (a.at("arm") == arm && a.at("fraction") == fraction) found.push_back(a);
  }
  return found;
}
// A metric by seed; seeds for which it does not exist are left out.
std::map<uint64_t, double> by_seed(const json& arms, const std::string& arm, double fraction,
                                   const std::string& metric) {
  std::map<uint64_t, double> values;
  for (const json& a : entries(arms, arm, fraction)) {
    if (a.at("metrics").contains(metric)) values[a.at("seed")] = a.at("metrics").at(metric);
  }
  return values;
}
std::vector<double> values_of(const std::map<uint64_t, double>& m) {
  std::vector<double> v;
  for (const auto& [seed, value] : m) v.push_back(value);
  return v;
}

// Values that lie in 0..1, as of all metrics but distances, have an interval that does too.
json summary_json(const std::vector<double>& values) {
  if (values.empty()) return {{"n", 0}};
  const Summary s = summarize(values);
  const bool share = std::all_of(values.begin(), values.end(), [](double v) { return v >= 0 && v <= 1; });
  return {{"n", s.n},
          {"mean", s.mean},
          {"sd", s.sd},
          {"low", share ? std::max(0.0, s.ci.low) : s.ci.low},
          {"high", share ? std::min(1.0, s.ci.high) : s.ci.high}};
}
double mean_field(const std::vector<json>& found, const char* field) {
  double sum = 0;
  for (const json& a : found) sum += a.at(field).get<double>();
  return found.empty() ? 0 : sum / static_cast<double>(found.size());
}

json table(const PaperConfig& c, const json& arms) {
  json rows = json::array();
  for (const std::string& metric : paper_metrics(c.run.task)) {
    json cells = json::array();
    const auto cell = [&](const std::string& column, const std::string& arm, double fraction) {
      cells.push_back({{"column", column}, {"arm", arm}, {"fraction", fraction}});
      cells.back().update(summary_json(values_of(by_seed(arms, arm, fraction, metric))));
    };
    for (const double f : c.fractions) cell(text("{} %", 100 * f), "method", f);
    cell("full", "full", 1);
    cell(text("random {} %", 100 * c.fractions.back()), "random", c.fractions.back());
    rows.push_back({{"metric", metric}, {"cells", cells}});
  }
  return rows;
}

json by_arm(const PaperConfig& c, const json& arms) {
  std::vector<std::string> names;
  for (const Arm& a : fraction_arms()) names.push_back(a.name);
  for (const std::string& a : choose_ablations(c.ablations, c.films)) names.push_back(a);
  json rows = json::array();
  for (const std::string& arm : names) {
    json cells = json::array();
    for (const double f : c.fractions) {
      const std::vector<json> found = entries(arms, arm, f);
      if (found.empty()) continue;
      cells.push_back(
          {{"fraction", f}, {"labels", mean_field(found, "labels")}, {"synthetic", mean_field(found, "synthetic")}});
      cells.back().update(summary_json(values_of(by_seed(arms, arm, f, primary_metric(c.run.task)))));
    }
    rows.push_back({{"arm", arm}, {"cells", cells}});
  }
  return rows;
}

json saving(const PaperConfig& c, const json& arms, size_t films) {
  const std::string metric = primary_metric(c.run.task);
  const std::vector<double> full = values_of(by_seed(arms, "full", 1, metric));
  if (full.empty()) return json();
  json s = {{"target", target_share * summarize(full).mean}, {"fraction", json()}};
  for (const double f : c.fractions) {
    const std::vector<double> values = values_of(by_seed(arms, "method", f, metric));
    if (values.empty() || summarize(values).mean < s.at("target").get<double>()) continue;
    const std::vector<json> found = entries(arms, "method", f);
    s["fraction"] = f;
    s["films"] = 1 - mean_field(found, "labels") / static_cast<double>(films);
    if (c.run.task == "seg") s["pixels"] = 1 - mean_field(found, "pixels");
    return s;
  }
  return s;
}

json comparisons(const PaperConfig& c, const json& arms) {
  json rows = json::array();
  std::vector<double> p;
  for (const double f : c.fractions) {
    for (const auto& [a, b] : {std::pair{"method", "selection"}, {"method", "random"}, {"selection", "random"}}) {
      const std::string metric = primary_metric(c.run.task);
      const auto left = by_seed(arms, a, f, metric), right = by_seed(arms, b, f, metric);
      NamedValues one{a, {}}, other{b, {}};
      for (const auto& [seed, value] : left) {
        if (!right.contains(seed)) continue;
        one.per_seed.push_back(value);
        other.per_seed.push_back(right.at(seed));
      }
      if (one.per_seed.empty()) continue;
      const Comparison r = compare_with(other, {&one, 1}).at(0);
      p.push_back(r.test.p);
      rows.push_back({{"fraction", f},
                      {"a", a},
                      {"b", b},
                      {"n", r.difference.n},
                      {"difference", r.difference.mean},
                      {"low", r.difference.ci.low},
                      {"high", r.difference.ci.high},
                      {"p", r.test.p},
                      {"wins", r.wins},
                      {"ties", r.ties},
                      {"losses", r.losses}});
    }
  }
  const std::vector<double> corrected = holm(p);
  for (size_t i = 0; i < rows.size(); ++i) rows[i]["p_holm"] = corrected[i];
  return rows;
}

json notes(const PaperConfig& c) {
  json list = json::array();
  if (c.strict_masks) {
    list.push_back(
        "Labels are the distinct real films whose label or mask was used. Only films already paid for were varied.");
  } else {
    list.push_back(
        "Labels are the distinct real films whose label or mask was used; a film is paid for when a variant of it is "
        "chosen. "
        "As in the paper, the masks and labels of films nobody had paid for were used to make and rank their variants: "
        "with "
        "--strict-masks they are not.");
  }
  if (c.films == "edits")
    list.push_back("Synthetic films are edited films: no generative network was involved (the ablation 'no cGAN').");
  if (c.weights.empty()) list.push_back("Networks began from random weights, not from ImageNet.");
  if (c.paper_stop)
    list.push_back("The loop was stopped by the test split (--paper-stop): its figures leak and are too high.");
  if (c.run.seeds < 6) {
    list.push_back(text("With {} seeds no test can give p below {}, whatever the difference.", c.run.seeds,
                        smallest_wilcoxon_p(c.run.seeds)));
  }
  return list;
}

}  // namespace

std::vector<std::string> paper_metrics(const std::string& task) {
  if (task == "seg") return {"dice", "hausdorff_px"};
  return {"sensitivity", "specificity", "auc"};
}

void write_paper_results(const RunFolder& folder, const PaperConfig& c, const data::Dataset& dataset,
                         const std::vector<std::string>& unit_names) {
  json arms = json::array(), seeds = json::array();
  double seconds = 0;
  for (const std::string& name : unit_names) {
    const json unit = folder.read_unit(name);
    const json& point = unit.at("point");
    seconds += point.at("seconds").get<double>();
    arms.push_back({{"arm", unit.at("arm")},
                    {"fraction", unit.at("fraction")},
                    {"seed", unit.at("seed")},
                    {"round", unit.at("round")},
                    {"labels", point.at("labelled")},
                    {"synthetic", unit.at("synthetic")},
                    {"pixels", unit.at("pixels")},
                    {"metrics", point.at("metrics")},
                    {"val_metrics", point.at("val_metrics")},
                    {"stop", unit.value("stop", "")}});
    if (arms.back().at("arm") == "loop") arms.back()["fraction"] = point.at("fraction");
    if (unit.contains("added")) arms.back()["refused"] = unit.at("added").at("refused");
  }
  for (int64_t k = 0; k < c.run.seeds; ++k) seeds.push_back(c.run.seed + static_cast<uint64_t>(k));
  const size_t train = data::cases_of(dataset, "train").size();
  json results = {{"task", c.run.task},
                  {"profile", c.profile},
                  {"films", c.films},
                  {"model", c.run.model},
                  {"metrics", paper_metrics(c.run.task)},
                  {"primary_metric", primary_metric(c.run.task)},
                  {"data",
                   {{"path", c.run.data},
                    {"train", train},
                    {"val", data::cases_of(dataset, "val").size()},
                    {"test", data::cases_of(dataset, "test").size()},
                    {"classes", dataset.classes}}},
                  {"command", c.run.command},
                  {"version", c.run.version},
                  {"threads", threads()},
                  {"seconds", seconds},
                  {"seeds", seeds},
                  {"config", parse_json(c.json())},
                  {"notes", notes(c)},
                  {"arms", arms},
                  {"table", table(c, arms)},
                  {"by_arm", by_arm(c, arms)},
                  {"saving", saving(c, arms, train)},
                  {"comparisons", comparisons(c, arms)}};
  add_process_and_plans(results);
  folder.write_json("paper.json", results);
}

}  // namespace querent::al
