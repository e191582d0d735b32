// What the user sees while an experiment or a training runs.
#pragma once
#include <chrono>
#include <string>

#include "al/experiment.h"
#include "app/options.h"
#include "app/terminal.h"
#include "data/manifest.h"

namespace querent::app {

class RunProgress {
 public:
  RunProgress(const Options& o, const al::ExperimentConfig& config, const data::Dataset& dataset);
  void show(const al::Progress& p);
  void end();
  void summary(const std::string& out) const;  // table of the last points, report, next command

 private:
  std::string time_left(const al::Progress& p) const;
  const al::ExperimentConfig& config_;
  Terminal terminal_;
  std::chrono::steady_clock::time_point start_;
  int64_t first_unit_ = -1;  // units done by an earlier run do not count for the time left
};

}  // namespace querent::app
