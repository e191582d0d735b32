// The experiment: strategies compared on the same splits, seeds and initial labels, with the full-data model as
// ceiling.
//
// A run is a chain of units: for each seed the full-data training, then the first round (shared by all strategies: the
// same labels, the same weights), then each round of each strategy. A unit is a pure function of the configuration and
// of the units before it, and is written to OUT/units/ when done; a run started again skips the units it finds there.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "al/cost.h"
#include "data/manifest.h"

namespace querent::al {

using Metrics = std::map<std::string, double>;

struct ExperimentConfig {
  std::string task = "seg";  // seg | cls
  std::string model = "unet";
  int64_t size = 128, width = 16, depth = 4;
  double dropout = 0.2;
  bool log_var = true;          // train a log-variance head (what kendall_gal reads); the same for every strategy
  std::vector<std::string> strategies = {"random"};
  int64_t seeds = 3;
  uint64_t seed = 1;  // the first of them
  int64_t start = 4, budget = 64;
  double growth = 2;
  int64_t steps = 150, full_steps = 450, batch = 8;
  double lr = 1e-3, weight_decay = 1e-4;
  bool augment = true;
  std::string conv = "auto";  // ConvAlgorithm, for the record: the process has one setting
  bool from_scratch = true;  // each round trains a new model; false: continue from the last round's weights
  int64_t mc = 10;           // MC-dropout passes T
  int64_t pool_limit = 384;  // candidates scored a round, drawn from the pool; < 0: all
  std::string cold_start = "random";  // who chooses the first labels: random, or a strategy that needs no model
  int64_t ensemble = 0;      // networks trained apart whose predictions are the passes of scoring; 0: MC dropout
  int64_t patience = 0;      // rounds without gain on the validation split before a curve stops; 0: never
  double pseudo_labels = 0;  // cls: entropy below which an unlabelled image is trained on with the network's own answer
                             // (CEAL, al/pseudo_labels.h); 0: never
  double pseudo_decay = 0;   // what that falls by each round
  std::string reduction = "mean";
  bool allow_empty_masks = false;
  double val_fraction = 0.1, test_fraction = 0.2;
  std::string data;              // where the images came from
  std::string command, version;  // for the record
  int64_t recompute = 0;         // U-Net levels that backward computes again: memory and time, and not a bit else
  Rates rates;                   // for the record: what a label costs

  // What determines the results (not command, version, recompute, rates): equal text, equal results.
  std::string json() const;
};

struct Point {  // one dot of a learning curve
  int64_t labelled = 0;
  double fraction = 0;
  Metrics metrics, val_metrics;  // on the test and the validation split
  double seconds = 0;
  double stall_share = 0;  // of the time its network was trained: waiting for images
};

// What happens, for progress bars and logs.
struct Progress {
  enum What { unit_begin, step, scoring, unit_end } what;
  std::string unit;             // "full data, seed 1" or "bald, seed 2, 32 labels"
  int64_t unit_index, units;    // 0-based
  int64_t done = 0, total = 0;  // steps or images
  double loss = 0;              // NaN: what advances has none
  const Point* point = nullptr;  // at unit_end
};
struct Hooks {
  std::function<void(const Progress&)> progress = [](const Progress&) {};
  std::function<bool()> stop = [] { return false; };  // asked often; true: checkpoint and return
};

// Runs or continues the experiment in folder `out`. Returns false when hooks.stop() asked to stop. Writes units/,
// metrics.jsonl, results.json, results.csv, queries/, gallery/, weights/. Errors: a folder that holds another run.
bool run_experiment(const ExperimentConfig& config, const data::Dataset& dataset, const std::string& out, const Hooks& hooks);

}  // namespace querent::al
