// querent eval: measure a trained model on any data set.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "al/evaluation.h"
#include "app/model_file.h"
#include "app/options.h"
#include "app/setup.h"
#include "tensor/error.h"
#include "tensor/files.h"
#include "tensor/json.h"

namespace querent::app {

int eval(const Options& options) {
  const TrainedModel model = open_model(options.weights);
  Options o = options;
  o.task = model.task;
  data::Dataset dataset = open_filtered(o);
  if (model.task == "cls") {
    // Labels the model does not know are left out and counted.
    const size_t before = dataset.cases.size();
    data::Filters known;
    known.classes = model.classes;
    data::apply_filters(dataset, known);
    if (dataset.cases.size() < before && !o.quiet && !o.json) {
      std::printf("left out %zu images with classes the model does not know\n", before - dataset.cases.size());
    }
  }
  std::vector<int64_t> cases;
  for (size_t i = 0; i < dataset.cases.size(); ++i) cases.push_back(static_cast<int64_t>(i));
  data::LoaderOptions reading = model.loader_options(model.task == "seg");
  reading.allow_empty_masks = o.allow_empty_masks;
  const data::Loader loader(dataset, reading);
  const al::Metrics metrics = al::evaluate(*model.learner, loader, cases);
  if (!o.out.empty()) {
    make_folder(o.out);
    write_atomically(o.out + "/metrics.json", dump_json(nlohmann::json{{"metrics", metrics}}, 2) + "\n");
    const std::vector<al::Metrics> each = al::evaluate_each(*model.learner, loader, cases);
    std::string csv = "id";
    for (const auto& [name, value] : each.at(0)) csv += "," + name;
    csv += "\n";
    for (size_t i = 0; i < cases.size(); ++i) {
      csv += dataset.cases[i].id;
      for (const auto& [name, value] : each[i]) csv += text(",{}", value);
      csv += "\n";
    }
    write_atomically(o.out + "/results.csv", csv);
  }
  if (o.json) {
    std::printf("%s\n", dump_json(nlohmann::json{{"cases", cases.size()}, {"metrics", metrics}}).c_str());
  } else {
    std::printf("%zu images\n", cases.size());
    for (const std::string& name : al::metric_names(model.task)) {
      if (metrics.contains(name)) std::printf("  %-16s %.4f\n", name.c_str(), metrics.at(name));
    }
    std::printf("next: querent predict IMAGE --weights %s --uncertainty\n", o.weights.c_str());
  }
  return 0;
}

}  // namespace querent::app
