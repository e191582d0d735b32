#include "app/report_data.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tensor/error.h"
#include "tensor/files.h"
#include "tensor/json.h"

namespace querent::app {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr uint64_t largest_json = uint64_t{256} << 20;

// The value of a key, or nothing of the wanted kind.
const json& at(const json& j, const char* key) {
  static const json nothing;
  if (!j.is_object()) return nothing;
  const auto found = j.find(key);
  return found == j.end() ? nothing : *found;
}
std::string string_at(const json& j, const char* key) {
  const json& v = at(j, key);
  return v.is_string() ? v.get<std::string>() : std::string();
}
std::optional<double> number(const json& v) {
  if (!v.is_number()) return std::nullopt;
  const double x = v.get<double>();
  return std::isfinite(x) ? std::optional(x) : std::nullopt;
}
std::optional<double> number_at(const json& j, const char* key) { return number(at(j, key)); }
int64_t count_at(const json& j, const char* key) {
  const double x = number_at(j, key).value_or(0);
  return std::abs(x) < 9e15 ? static_cast<int64_t>(x) : 0;
}
uint64_t seed_of(const json& v) { return v.is_number_integer() ? v.get<uint64_t>() : 0; }
// The elements of an array; none when it is something else.
const json::array_t& list_at(const json& j, const char* key) {
  static const json::array_t nothing;
  const json& v = at(j, key);
  return v.is_array() ? v.get_ref<const json::array_t&>() : nothing;
}

std::map<std::string, double> metrics_of(const json& v) {
  std::map<std::string, double> metrics;
  if (!v.is_object()) return metrics;
  for (const auto& [name, value] : v.items()) {
    if (const auto x = number(value)) metrics[name] = *x;
  }
  return metrics;
}

std::vector<std::pair<std::string, std::string>> pairs_of(const json& v) {
  std::vector<std::pair<std::string, std::string>> pairs;
  if (!v.is_object()) return pairs;
  for (const auto& [key, value] : v.items()) {
    pairs.emplace_back(
        key, value.is_string() ? value.get<std::string>() : dump_json(value));
  }
  return pairs;
}

SeedCurve curve_of(const json& v) {
  SeedCurve curve{.seed = seed_of(at(v, "seed")), .points = {}};
  for (const json& p : list_at(v, "points")) {
    ReportPoint point{count_at(p, "labelled"), number_at(p, "fraction").value_or(0), metrics_of(at(p, "metrics")), {}, {}, {}};
    point.val_metrics = metrics_of(at(p, "val_metrics"));
    point.agreement = number_at(p, "agreement");
    if (const json& w = at(p, "work"); w.is_object() && number_at(w, "labels").value_or(0) > 0)
      point.work = {*number_at(w, "labels"), number_at(w, "patients").value_or(0), number_at(w, "mask_pixels").value_or(0),
                    number_at(w, "contour_pixels").value_or(0)};
    if (point.labelled > 0 && !point.metrics.empty()) curve.points.push_back(std::move(point));
  }
  const auto less = [](const ReportPoint& a, const ReportPoint& b) { return a.labelled < b.labelled; };
  std::stable_sort(curve.points.begin(), curve.points.end(), less);
  const auto same = [](const ReportPoint& a, const ReportPoint& b) { return a.labelled == b.labelled; };
  curve.points.erase(std::unique(curve.points.begin(), curve.points.end(), same), curve.points.end());
  return curve;
}

CalibrationRun calibration_of(const json& v) {
  CalibrationRun run{.strategy = string_at(v, "strategy"),
                     .ece = number_at(v, "ece"),
                     .ece_after = number_at(v, "ece_after"),
                     .temperature = number_at(v, "temperature"),
                     .bins = {}};
  size_t index = 0;
  for (const json& b : list_at(v, "bins")) {
    const double n = number_at(b, "count").value_or(0);
    const auto confidence = number_at(b, "confidence"), accuracy = number_at(b, "accuracy");
    if (n > 0 && confidence && accuracy) run.bins.push_back({index, n, *confidence, *accuracy});
    ++index;
  }
  return run;
}

ReportItem item_of(const json& v) {
  ReportItem item{.id = string_at(v, "id"),
                  .reason = string_at(v, "reason"),
                  .label = string_at(v, "label"),
                  .nearest = string_at(v, "nearest"),
                  .rank = count_at(v, "rank"),
                  .score = number_at(v, "score"),
                  .quality = number_at(v, "dice"),
                  .image = string_at(v, "image"),
                  .truth = string_at(v, "truth"),
                  .prediction = string_at(v, "prediction"),
                  .epistemic = string_at(v, "epistemic"),
                  .aleatoric = string_at(v, "aleatoric"),
                  .probabilities = {}};
  if (!item.quality) item.quality = number_at(v, "probability_of_truth");
  for (const json& p : list_at(v, "probabilities")) item.probabilities.push_back(number(p).value_or(0));
  return item;
}

TestCases test_cases_of(const json& v) {
  TestCases t{.strategy = string_at(v, "strategy"), .error = {}, .uncertainty = {}};
  for (const json& c : list_at(v, "cases")) {
    const auto error = number_at(c, "error"), uncertainty = number_at(c, "uncertainty");
    if (!error || !uncertainty) continue;
    t.error.push_back(*error);
    t.uncertainty.push_back(*uncertainty);
  }
  return t;
}

SelectionCounts selection_of(const json& v) {
  SelectionCounts s{.strategy = string_at(v, "strategy"), .groups = {}};
  const json& groups = at(v, "groups");
  if (!groups.is_object()) return s;
  for (const auto& [column, values] : groups.items()) {
    if (!values.is_object()) continue;
    for (const auto& [value, n] : values.items()) {
      const int64_t asked = count_at(n, "asked"), pool = count_at(n, "pool");
      if (asked >= 0 && asked <= pool) s.groups[column][value] = {asked, pool};
    }
  }
  return s;
}

al::Rates rates_of(const json& v) {
  const auto rate = [&](const char* key) { return std::max(0.0, number_at(v, key).value_or(0)); };
  return {rate("minutes_per_label"), rate("seconds_per_contour_pixel"), rate("money_per_label"), rate("money_per_hour"),
          string_at(v, "currency")};
}

// Strategies in the order of their first appearance, the baseline first; each gets its colour for the whole page.
void add_curve(std::vector<StrategyCurves>& strategies, const std::string& name, SeedCurve curve) {
  auto found = std::find_if(strategies.begin(), strategies.end(), [&](const auto& s) { return s.name == name; });
  if (found == strategies.end()) {
    strategies.push_back({.name = name, .color = 0, .seeds = {}});
    found = strategies.end() - 1;
  }
  if (!curve.points.empty()) found->seeds.push_back(std::move(curve));
}

std::string run_name(const fs::path& folder) {
  std::error_code error;
  fs::path whole = fs::weakly_canonical(folder, error);
  if (error) whole = folder;
  if (!whole.has_filename()) whole = whole.parent_path();
  const std::string name = whole.filename().string();
  return name == "run" ? whole.parent_path().filename().string() : name;
}

}  // namespace

int Results::color_of(const std::string& strategy) const {
  for (const StrategyCurves& s : strategies) {
    if (s.name == strategy) return s.color;
  }
  return 0;
}
std::optional<double> Results::full_primary() const {
  const auto found = full.find(primary);
  return found == full.end() ? std::nullopt : std::optional(found->second);
}

std::vector<al::CurvePoint> points_of(const SeedCurve& curve, const std::string& metric) {
  std::vector<al::CurvePoint> points;
  for (const ReportPoint& p : curve.points) {
    if (const auto found = p.metrics.find(metric); found != p.metrics.end())
      points.push_back({p.labelled, found->second});
  }
  return points;
}

Results read_results(const std::string& folder) {
  const fs::path path = fs::path(folder) / "results.json";
  check(fs::exists(path), "report: there is no '{}'; give the folder of a run or an experiment (its --out)",
        path.string());
  const json j = parse_json(read_file(path, largest_json));
  check(j.is_object(), "report: '{}' is damaged; give the same 'querent run' command again to write it anew",
        path.string());
  check(j.contains("curves") || j.contains("primary_metric"),
        "report: '{}' is not from 'querent run'; give the folder of a run", path.string());

  Results r;
  r.folder = folder;
  r.name = run_name(folder);
  r.task = string_at(j, "task");
  r.model = string_at(j, "model");
  r.primary = string_at(j, "primary_metric");
  if (r.primary.empty()) r.primary = r.task == "cls" ? "auc" : "dice";
  r.command = string_at(j, "command");
  r.version = string_at(j, "version");
  r.size = count_at(j, "size");
  r.threads = count_at(j, "threads");
  r.seconds = number_at(j, "seconds").value_or(0);
  const json& data = at(j, "data");
  r.data_path = string_at(data, "path");
  r.images = count_at(data, "images");
  r.patients = count_at(data, "patients");
  r.train = count_at(data, "train");
  r.val = count_at(data, "val");
  r.test = count_at(data, "test");
  for (const json& c : list_at(data, "classes")) r.classes.push_back(c.is_string() ? c.get<std::string>() : dump_json(c));
  for (const json& s : list_at(j, "seeds")) r.seeds.push_back(seed_of(s));
  r.config = pairs_of(at(j, "config"));
  r.hashes = pairs_of(at(j, "hashes"));
  r.full = metrics_of(at(j, "full_data"));
  for (const json& run : list_at(j, "full_data_runs")) r.full_runs.push_back(metrics_of(at(run, "metrics")));
  for (const json& c : list_at(j, "curves")) add_curve(r.strategies, string_at(c, "strategy"), curve_of(c));
  std::stable_partition(r.strategies.begin(), r.strategies.end(),
                        [](const auto& s) { return s.name == baseline_name; });
  int next = 0;
  for (StrategyCurves& s : r.strategies) s.color = s.name == baseline_name ? 0 : next++ % 7 + 1;
  for (const json& c : list_at(j, "calibration")) r.calibration.push_back(calibration_of(c));
  for (const json& t : list_at(j, "test_cases")) r.test_cases.push_back(test_cases_of(t));
  for (const json& s : list_at(j, "selection")) r.selection.push_back(selection_of(s));
  r.rates = rates_of(at(j, "rates"));
  for (const json& w : list_at(j, "worst")) r.worst.push_back(item_of(w));
  for (const json& q : list_at(j, "queries")) {
    ReportQuery query{
        string_at(q, "strategy"), seed_of(at(q, "seed")), count_at(q, "round"), count_at(q, "labelled"), {}};
    for (const json& i : list_at(q, "items")) query.items.push_back(item_of(i));
    r.queries.push_back(std::move(query));
  }
  for (const json& c : list_at(j, "class_counts")) {
    for (const auto& [label, n] : metrics_of(at(c, "counts"))) {
      r.class_counts[string_at(c, "strategy")][label] = static_cast<int64_t>(std::clamp(n, 0.0, 1e15));
    }
  }
  return r;
}

}  // namespace querent::app
