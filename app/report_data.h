// What a report is made from: results.json, read leniently. A field that is missing or of another type is left empty,
// so that a run in progress can be shown; the sections say what is missing.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "al/cost.h"
#include "al/curve.h"

namespace querent::app {

struct ReportPoint {
  int64_t labelled = 0;
  double fraction = 0;
  std::map<std::string, double> metrics, val_metrics;
  std::optional<al::Work> work;     // of all labels so far
  std::optional<double> agreement;  // of its predictions with those of the round before
};
struct SeedCurve {
  uint64_t seed = 0;
  std::vector<ReportPoint> points;  // by labelled, each count once
};
struct StrategyCurves {
  std::string name;
  int color = 0;  // 0: the baseline's grey; 1...7: the palette
  std::vector<SeedCurve> seeds;
};

struct CalibrationBin {
  size_t index = 0;  // of the seeds' common bins
  double count = 0, confidence = 0, accuracy = 0;
};
struct CalibrationRun {
  std::string strategy;  // "all labels": the full-data model
  std::optional<double> ece, ece_after, temperature;  // after: with the temperature
  std::vector<CalibrationBin> bins;
};

// One image that was asked for, or that the full-data model got wrong. Pictures are paths relative to the run folder.
struct ReportItem {
  std::string id, reason, label, nearest;
  int64_t rank = 0;
  std::optional<double> score, quality;  // quality: Dice or the probability given to the true class
  std::string image, truth, prediction, epistemic, aleatoric;
  std::vector<double> probabilities;
};
struct ReportQuery {
  std::string strategy;
  uint64_t seed = 0;
  int64_t round = 0, labelled = 0;
  std::vector<ReportItem> items;
};

// Per test image, of the last model of a curve.
struct TestCases {
  std::string strategy;
  std::vector<double> error, uncertainty;
};
// How often a value was asked for, and how often it was there; one entry per strategy and seed.
struct SelectionCounts {
  std::string strategy;
  std::map<std::string, std::map<std::string, std::pair<int64_t, int64_t>>> groups;  // column -> value -> asked, pool
};

struct Results {
  std::string folder, name;
  std::string task, model, primary, command, version, data_path;
  int64_t size = 0, threads = 0, images = 0, patients = 0, train = 0, val = 0, test = 0;
  double seconds = 0;
  std::vector<std::string> classes;
  std::vector<uint64_t> seeds;
  std::vector<std::pair<std::string, std::string>> config, hashes;
  std::map<std::string, double> full;                    // mean over seeds
  std::vector<std::map<std::string, double>> full_runs;  // per seed
  std::vector<StrategyCurves> strategies;
  std::vector<CalibrationRun> calibration;
  std::vector<ReportItem> worst;
  std::vector<ReportQuery> queries;
  std::vector<TestCases> test_cases;
  std::vector<SelectionCounts> selection;
  al::Rates rates;
  std::map<std::string, std::map<std::string, int64_t>> class_counts;  // strategy -> class -> asked, all seeds

  int color_of(const std::string& strategy) const;
  std::optional<double> full_primary() const;
};

inline constexpr const char* baseline_name = "random";
inline constexpr const char* full_data_name = "all labels";

// The points of one curve that have this metric.
std::vector<al::CurvePoint> points_of(const SeedCurve& curve, const std::string& metric);

// Reads folder/results.json; an Error when it is missing, not JSON or not an object.
Results read_results(const std::string& folder);

}  // namespace querent::app
