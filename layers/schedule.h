// Learning rate as a function of the step: constant, step, cosine, linear decay, each after an optional warm-up; and
// plateau, which looks at a validation loss.
#pragma once
#include <cstdint>
#include <limits>
#include <string>

namespace querent {

struct ScheduleOptions {
  enum Kind { constant, step, cosine, linear, plateau };
  Kind kind = constant;
  double lr = 1e-3, min_lr = 0;
  int64_t warmup = 0;    // the rate rises linearly to lr over this many steps
  int64_t total = 1000;  // cosine, linear: reach min_lr at this step (warm-up included)
  int64_t period = 100;  // step: multiply by `factor` each `period` steps after the warm-up
  double factor = 0.1;   // step, plateau
  int64_t patience = 10;
  double threshold = 1e-4;  // plateau: an improvement must be larger than this (absolute)
};
ScheduleOptions::Kind parse_schedule(const std::string& name);

class Schedule {
 public:
  explicit Schedule(const ScheduleOptions& options);
  double rate(int64_t step) const;  // for step 0, 1, ...
  void observe(double loss);        // plateau: a new validation loss, smaller is better; others ignore it

  struct State {  // all there is to save besides the options
    double best = std::numeric_limits<double>::infinity(), scale = 1;
    int64_t bad = 0;
  };
  const State& state() const { return state_; }
  void restore(const State& state) { state_ = state; }

 private:
  ScheduleOptions options_;
  State state_;
};

}  // namespace querent
