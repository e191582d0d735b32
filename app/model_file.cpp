#include "app/model_file.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "layers/init.h"
#include "layers/tensor_file.h"
#include "tensor/error.h"
#include "tensor/json.h"
#include "tensor/safetensors.h"

namespace querent::app {

ModelOptions model_options(const Options& o, const data::Dataset& dataset) {
  ModelOptions m;
  m.name = o.model;
  m.classes = o.task == "seg" ? 1 : static_cast<int64_t>(dataset.classes.size());
  m.width = o.width;
  if (o.model == "unet") m.depth = o.depth;
  m.dropout = o.dropout;
  m.log_var = true;
  return m;
}

std::map<std::string, std::string> model_metadata(const Options& o, const data::Dataset& dataset,
                                                  const data::Loader& loader, int64_t labelled) {
  return {{"task", o.task},
          {"classes", dump_json(nlohmann::json(dataset.classes))},
          {"size", std::to_string(o.size)},
          {"seed", std::to_string(o.seed)},
          {"labelled", std::to_string(labelled)},
          {"mean", std::to_string(loader.options().normalization.mean)},
          {"std", std::to_string(loader.options().normalization.std)}};
}

data::LoaderOptions TrainedModel::loader_options(bool masks) const {
  data::LoaderOptions o;
  o.size = size;
  o.channels = learner->model().options.in_channels;
  o.masks = masks;
  o.normalization = normalization;
  return o;
}

TrainedModel open_model(const std::string& path) {
  const SafetensorsReader file(path);
  const auto& meta = file.metadata();
  const auto get = [&](const char* key) {
    const auto it = meta.find(key);
    check(it != meta.end(), "weights: '{}' does not say its {}; use a file written by 'querent train' or 'querent run'", path, key);
    return it->second;
  };
  const auto number = [&](const char* key) {
    const std::string value = get(key);
    char* end = nullptr;
    const double v = std::strtod(value.c_str(), &end);
    check(end != value.c_str() && *end == 0 && std::isfinite(v), "weights: '{}' has {} = '{}', which is not a number", path, key, value);
    return v;
  };
  TrainedModel m;
  m.task = get("task");
  check(m.task == "seg" || m.task == "cls", "weights: '{}' has unknown task '{}'", path, m.task);
  const nlohmann::json classes = parse_json(get("classes"));
  check(classes.is_array(), "weights: '{}' has a damaged list of classes", path);
  for (const auto& c : classes) {
    check(c.is_string(), "weights: '{}' has a damaged list of classes", path);
    m.classes.push_back(c.get<std::string>());
  }
  const double size = number("size");
  check(size >= 1 && size <= 8192, "weights: '{}' states an image size of {}", path, size);
  m.size = static_cast<int64_t>(size);
  m.normalization = {static_cast<float>(number("mean")), static_cast<float>(number("std"))};
  check(m.normalization.std > 0, "weights: '{}' states a standard deviation of {}", path, m.normalization.std);
  const NoDraws weights_of_the_file;
  m.learner = std::make_unique<al::Learner>(saved_architecture(path), 0);
  m.learner->load(path);
  return m;
}

}  // namespace querent::app
