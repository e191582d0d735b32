// The MNIST experiment of Gal, Islam and Ghahramani, "Deep Bayesian Active Learning with Image Data" (ICML 2017): how
// many labels each acquisition function needs for 10 % and for 5 % test error.
//
//   start     `per_class` labels of each class at random, the same for all methods; `validation` more are held out
//   round     the network (models/bcnn.h) is trained from scratch and tested; then `query` images of `pool_subset`
//             drawn from the pool are asked, the highest scores over `passes` Monte-Carlo passes
//
// From the authors' code: Adam, the squared weights of the hidden layer count `decay` / N in the loss, the subset of
// the pool, and the test without dropout. With several values of `decay` each round trains one network for each and
// keeps the one with the largest likelihood of the validation images, which is what those are for in the paper.
#pragma once
#include <string>
#include <vector>

#include "al/experiment.h"

namespace querent::al {

struct GalConfig {
  std::vector<std::string> methods = {"variation_ratios", "bald", "entropy", "mean_std", "random"};
  int64_t seeds = 3;
  uint64_t seed = 1;  // the first of them
  int64_t per_class = 2, query = 10, rounds = 98, validation = 100;
  int64_t random_query = 10;      // a method that needs no network may be trained and tested less often
  int64_t pool_subset = 2000;     // < 1: the whole pool
  int64_t passes = 100;           // T
  int64_t epochs = 32, batch = 16, least_steps = 200;  // optimizer steps: epochs * N / batch, at least `least_steps`
  double lr = 3e-3;               // the peak; cosine decay
  std::vector<double> decay = {2.5};
  double stop_error = 0;          // a curve ends once its test error is no larger; 0: never
  std::string data;

  int64_t steps(int64_t labels) const;
  std::string json() const;  // what determines a unit; methods, seeds, rounds and stop_error only say how far to go
};

// What the paper reports: labels needed for 10 % and 5 % error, mean of three runs (Table 1). None for other methods.
struct GalPublished {
  int64_t to_10_percent = 0, to_5_percent = 0;
};
const GalPublished* gal_published(const std::string& method);

// Runs or continues the experiment in folder `out`; false when hooks.stop() asked to stop. Writes units/ and
// gal2017.json, [{"method", "to_10_percent", "to_5_percent", "published", "seeds": [{"seed", the same two, "points":
// [{"labels", "error", "val_error", "decay"}]}]}]; labels are null where a curve did not come so far, and means are over
// seeds that all did. Errors: no test images; a class with fewer than per_class images; options out of range.
bool run_gal2017(const GalConfig& config, const data::Dataset& dataset, const std::string& out, const Hooks& hooks);

}  // namespace querent::al
