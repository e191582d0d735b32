// What the user sees while an experiment runs.
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
  RunProgress(const Options& o, std::string metric);  // of the lines that end a unit
  void line(const std::string& text) { terminal_.line(text); }
  void show(const al::Progress& p);
  void end();

 private:
  std::string time_left(const al::Progress& p) const;
  std::string metric_;
  Terminal terminal_;
  std::chrono::steady_clock::time_point start_;
  int64_t first_unit_ = -1;  // units done by an earlier run do not count for the time left
};

// "seg · unet · 260 images of 200 patients · ..."
std::string describe(const al::ExperimentConfig& config, const data::Dataset& dataset);

}  // namespace querent::app
