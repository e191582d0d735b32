#include "al/run_folder.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "al/evaluation.h"
#include "al/learner.h"
#include "al/selection_bias.h"
#include "tensor/backend.h"
#include "tensor/collective.h"
#include "tensor/files.h"
#include "tensor/json.h"
#include "tensor/plans.h"
#include "tensor/run.h"

namespace querent::al {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr size_t largest_json = size_t{256} << 20;

// The fields by which two configurations differ: "steps (150, now 200)".
std::string differences(const json& before, const json& now) {
  std::string list;
  json all = before;
  all.update(now);
  for (const auto& [key, value] : all.items()) {
    const json was = before.value(key, json()), is = now.value(key, json());
    if (was != is) list += (list.empty() ? "" : ", ") + key + " (" + dump_json(was) + ", now " + dump_json(is) + ")";
  }
  return list;
}

// A metric as CSV text; empty when there is none.
std::string cell(const json& metrics, const std::string& name) {
  return metrics.contains(name) ? dump_json(metrics.at(name)) : "";
}

json count_patients(const data::Dataset& d) {
  std::set<std::string> patients;
  for (const data::Case& c : d.cases) patients.insert(data::patient_key(c));
  return patients.size();
}

}  // namespace

void add_process(json& config) {
  if (compute_device() != Device::cpu()) {
    config["device"] = device_name(compute_device());
    if (plan_policy().tf32) config["tf32"] = true;
  }
  if (compute_dtype() == DType::bf16) config["bf16"] = true;
  if (collective().size > 1) config["ranks"] = collective().size;
}
void add_process_and_plans(json& results) {
  add_process(results);
  if (const std::string hash = PlanBook::of_process().hash(); !hash.empty()) results["plans"] = hash;
}

void keep_plans(const std::string& folder) {
  // Of several ranks each meets problems of its own, and a file is written by all together.
  if (compute_device() != Device::cpu() && collective().size == 1)
    PlanBook::of_process().open(folder + "/plans.json");
}

json to_json(const Point& p) {
  return {{"labelled", p.labelled}, {"fraction", p.fraction}, {"metrics", p.metrics}, {"val_metrics", p.val_metrics},
          {"seconds", p.seconds}, {"stall_share", p.stall_share}};
}
Point point_from_json(const json& j) {
  Point p;
  p.labelled = j.at("labelled");
  p.fraction = j.at("fraction");
  p.metrics = j.at("metrics").get<Metrics>();
  p.val_metrics = j.at("val_metrics").get<Metrics>();
  p.seconds = j.at("seconds");
  p.stall_share = j.value("stall_share", 0.0);
  return p;
}

std::string ExperimentConfig::json() const {
  // Strategies and the number of seeds only say how far to go: a run may be extended by them.
  nlohmann::json j = {{"task", task},       {"model", model},       {"size", size},           {"width", width},
                        {"depth", depth},     {"dropout", dropout},   {"log_var", log_var},     {"seed", seed},
                        {"conv", conv},
                        {"start", start},     {"growth", growth},     {"steps", steps},         {"full_steps", full_steps},
                        {"batch", batch},     {"lr", lr},             {"weight_decay", weight_decay},
                        {"augment", augment}, {"from_scratch", from_scratch}, {"mc", mc},       {"pool_limit", pool_limit},
                        {"reduction", reduction}, {"val_fraction", val_fraction}, {"test_fraction", test_fraction},
                        {"data", data},       {"budget", budget},     {"patience", patience}};
  // Only when used, so that a run begun before there was such a choice can be continued.
  if (cold_start != "random") j["cold_start"] = cold_start;
  if (ensemble > 0) j["ensemble"] = ensemble;
  if (pseudo_labels > 0) j["pseudo_labels"] = pseudo_labels, j["pseudo_decay"] = pseudo_decay;
  add_process(j);
  return dump_json(j, 2);
}

RunFolder::RunFolder(std::string path, const std::string& now) : path_(std::move(path)) {
  std::error_code error;
  for (const char* sub : {"units", "queries", "weights", "gallery"}) fs::create_directories(path_ + "/" + sub, error);
  check(!error, "run: cannot create folder '{}': {}; choose another --out", path_, error.message());
  lock_ = std::make_unique<FolderLock>(path_);
  remove_temporary_files(path_);
  keep_plans(path_);
  if (!fs::exists(file("config.json"))) {
    write_text("config.json", now);
    return;
  }
  const std::string before = read_file(file("config.json"), largest_json);
  if (before == now) return;
  const json old = parse_json(before);
  check(!old.is_discarded(), "run: '{}' is damaged; use --force to start again", file("config.json"));
  fail("run: '{}' holds another run: {}; use --force to start again or another --out", path_,
       differences(old, parse_json(now)));
}

bool RunFolder::has_unit(const std::string& name) const { return fs::exists(file("units/" + name + ".json")); }
json RunFolder::read_unit(const std::string& name) const {
  const std::string path = file("units/" + name + ".json");
  json unit = parse_json(read_file(path, largest_json));
  check(!unit.is_discarded(), "run: '{}' is damaged; delete it and run again", path);
  return unit;
}
void RunFolder::write_unit(const std::string& name, const json& unit) const {
  write_json("units/" + name + ".json", unit);
  discard(checkpoint());
}
void RunFolder::write_json(const std::string& name, const json& j) const { write_text(name, dump_json(j, 1) + "\n"); }
void RunFolder::write_text(const std::string& name, const std::string& text) const { write_atomically(file(name), text); }

void keep_manifest(data::Dataset listed, const RunFolder& folder) {
  const std::string path = folder.file("manifest.jsonl");
  if (!fs::exists(path)) return data::save_manifest(listed, path);
  data::hash_files(listed);
  const data::Dataset before = data::load_manifest(path);
  const auto same = [](const data::Case& a, const data::Case& b) {
    return a.id == b.id && a.split == b.split && a.label == b.label && a.image_sha256 == b.image_sha256 &&
           a.mask_sha256 == b.mask_sha256;
  };
  check(std::ranges::equal(before.cases, listed.cases, same),
        "run: the images, labels or splits have changed since '{}' was begun; use --force to start again or another --out",
        folder.path());
}

void write_results(const RunFolder& folder, const ExperimentConfig& c, const data::Dataset& dataset,
                   const std::vector<std::string>& unit_names) {
  const std::string primary = primary_metric(c.task);
  json full_runs = json::array(), curves = json::array(), queries = json::array(), calibrations = json::array();
  json worst = json::array(), class_counts = json::object(), test_cases = json::array(), selection = json::array();
  std::map<std::string, std::vector<double>> full_values;
  std::string lines, csv = "strategy,seed,round,labelled,fraction";
  double seconds = 0;
  const std::vector<std::string> names = metric_names(c.task);
  for (const std::string& n : names) csv += "," + n;
  csv += ",patients,minutes,money\n";
  const auto row = [&](const std::string& strategy, const json& unit, int64_t round) {
    const json& p = unit.at("point");
    csv += text("{},{},{},{},{}", strategy, dump_json(unit.at("seed")), round, dump_json(p.at("labelled")), dump_json(p.at("fraction")));
    for (const std::string& n : names) csv += "," + cell(p.at("metrics"), n);
    for (const char* n : {"patients", "minutes", "money"}) csv += "," + cell(p.value("work", json::object()), n);
    csv += "\n";
  };

  const auto keep_test_cases = [&](const std::string& strategy, const json& unit) {
    if (!unit.contains("test_cases")) return;
    test_cases.push_back({{"strategy", strategy}, {"seed", unit.at("seed")}, {"cases", unit.at("test_cases")}});
  };
  const Groups groups = groups_of(dataset);
  std::vector<std::string> first, ids;  // the labels a seed began with; what a curve has asked for

  for (const std::string& name : unit_names) {
    json unit = folder.read_unit(name);
    json& point = unit.at("point");
    if (unit.contains("work")) point["work"] = to_json(work_from_json(unit.at("work")), c.rates);
    if (unit.contains("agreement")) point["agreement"] = unit.at("agreement");
    json line = {{"unit", name}, {"seed", unit.at("seed")}};
    line.update(point);
    lines += dump_json(line) + "\n";
    if (unit.at("unit") == "full") {
      seconds += point.at("seconds").get<double>();
      full_runs.push_back({{"seed", unit.at("seed")}, {"metrics", point.at("metrics")}});
      for (const auto& [metric, value] : point.at("metrics").items()) full_values[metric].push_back(value);
      calibrations.push_back({{"strategy", "all labels"}, {"seed", unit.at("seed")}});
      calibrations.back().update(unit.at("calibration"));
      if (unit.contains("worst")) worst = unit.at("worst");
      keep_test_cases("all labels", unit);
      row("full", unit, 0);
    } else if (unit.at("unit") == "first") {
      seconds += point.at("seconds").get<double>();
      first = unit.at("labelled").get<std::vector<std::string>>();
    } else {
      const std::string strategy = unit.at("strategy");
      const int64_t round = unit.at("round");
      if (round == 0) curves.push_back({{"strategy", strategy}, {"seed", unit.at("seed")}, {"points", json::array()}});
      if (round > 0) seconds += point.at("seconds").get<double>();
      curves.back()["points"].push_back(point);
      if (unit.contains("calibration")) {
        calibrations.push_back({{"strategy", strategy}, {"seed", unit.at("seed")}});
        calibrations.back().update(unit.at("calibration"));
      }
      keep_test_cases(strategy, unit);
      row(strategy, unit, round);
      const json& asked = unit.at("asked");
      if (round == 0) ids.clear();
      for (const json& item : asked) ids.push_back(item.at("id"));
      if (unit.at("last")) {
        const json counts = selection_counts(groups, first, ids);
        if (!counts.empty()) selection.push_back({{"strategy", strategy}, {"seed", unit.at("seed")}, {"groups", counts}});
      }
      if (asked.empty()) continue;
      std::string table = "rank,id,score,reason\n";
      for (const json& item : asked) {
        table += text("{},{},{},\"{}\"\n", dump_json(item.at("rank")), item.at("id").get<std::string>(), dump_json(item.at("score")),
                      item.at("reason").get<std::string>());
        if (item.contains("label")) {
          json& n = class_counts[strategy][item.at("label").get<std::string>()];
          n = n.is_null() ? 1 : n.get<int64_t>() + 1;
        }
      }
      folder.write_text(text("queries/{}_s{}_r{}.csv", strategy, dump_json(unit.at("seed")), round + 1), table);
      if (unit.at("seed") == c.seed) {
        queries.push_back({{"strategy", strategy}, {"seed", unit.at("seed")}, {"round", round + 1},
                           {"labelled", point.at("labelled")}, {"items", asked}});
      }
    }
  }
  json full = json::object();
  for (const auto& [metric, values] : full_values) {
    double sum = 0;
    for (const double v : values) sum += v;
    full[metric] = sum / static_cast<double>(values.size());
  }
  json counts = json::array(), seeds = json::array();
  for (const auto& [strategy, n] : class_counts.items()) counts.push_back({{"strategy", strategy}, {"counts", n}});
  for (int64_t k = 0; k < c.seeds; ++k) seeds.push_back(c.seed + static_cast<uint64_t>(k));
  std::map<std::string, int64_t> split;
  for (const data::Case& k : dataset.cases) ++split[k.split];
  json results = {
      {"task", c.task},
      {"model", c.model},
      {"size", c.size},
      {"primary_metric", primary},
      {"data",
       {{"path", c.data}, {"images", dataset.cases.size()}, {"patients", count_patients(dataset)},
        {"classes", dataset.classes}, {"train", split["train"]}, {"val", split["val"]}, {"test", split["test"]}}},
      {"command", c.command},
      {"version", c.version},
      {"threads", threads()},
      {"seconds", seconds},
      {"seeds", seeds},
      {"config", parse_json(c.json())},
      {"full_data", full},
      {"full_data_runs", full_runs},
      {"curves", curves},
      {"calibration", calibrations},
      {"worst", worst},
      {"queries", queries},
      {"class_counts", counts},
      {"test_cases", test_cases},
      {"selection", selection},
      {"rates", to_json(c.rates)},
      {"hashes",
       {{"manifest", sha256_file(folder.file("manifest.jsonl"))}, {"config", sha256_file(folder.file("config.json"))}}},
  };
  add_process_and_plans(results);
  folder.write_json("results.json", results);
  folder.write_text("results.csv", csv);
  folder.write_text("metrics.jsonl", lines);
}

}  // namespace querent::al
