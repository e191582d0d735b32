// A weight file that says everything the next verbs need: architecture, task, classes, image size, normalisation.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "al/learner.h"
#include "app/options.h"
#include "data/loader.h"

namespace querent::app {

ModelOptions model_options(const Options& o, const data::Dataset& dataset);
std::map<std::string, std::string> model_metadata(const Options& o, const data::Dataset& dataset,
                                                  const data::Loader& loader, int64_t labelled);

struct TrainedModel {
  std::string task;
  std::vector<std::string> classes;
  int64_t size = 0;
  data::Normalization normalization;
  std::unique_ptr<al::Learner> learner;
  data::LoaderOptions loader_options(bool masks) const;
};
// Errors: not a weight file of `train` or `run`, damaged.
TrainedModel open_model(const std::string& path);

}  // namespace querent::app
