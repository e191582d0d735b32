// querent explain: a model layer by layer, or a strategy with its formula.
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "al/acquisition.h"
#include "al/evaluation.h"
#include "app/options.h"
#include "models/explain.h"
#include "tensor/error.h"
#include "tensor/json.h"

namespace querent::app {
namespace {

void list_strategies(const Options& o) {
  if (o.json) {
    nlohmann::json all = nlohmann::json::array();
    for (const al::Strategy* s : al::strategies()) {
      all.push_back({{"name", s->name}, {"formula", s->formula}, {"source", s->source}, {"doc", s->doc}});
    }
    std::printf("%s\n", dump_json(all, 2).c_str());
    return;
  }
  for (const al::Strategy* s : al::strategies()) {
    std::printf("%-24s %s\n", std::string(s->name).c_str(), std::string(s->formula).c_str());
  }
  std::printf("next: querent explain bald\n");
}

}  // namespace

int explain(const Options& o) {
  const std::vector<std::string> models = model_names();
  if (std::find(models.begin(), models.end(), o.subject) != models.end()) {
    ModelOptions m;
    m.name = o.subject;
    m.width = o.width;
    // Published networks: three input channels and 1000 classes for ImageNet classifiers, one of each for U-Net.
    const bool segments = o.subject == "unet";
    m.in_channels = segments ? 1 : 3;
    m.classes = segments ? 1 : 1000;
    if (segments) m.depth = o.depth;
    const Explanation e = explain(m, o.size > 0 ? o.size : segments ? 256 : 224);
    std::printf("%s", (o.json ? e.json() + "\n" : e.listing()).c_str());
    if (!o.json) std::printf("next: docs/architecture.md follows one convolution to its kernel\n");
  } else if (o.subject == "strategies") {
    list_strategies(o);
  } else if (o.subject == "metrics") {
    std::printf("%s", al::explain_metrics().c_str());
  } else {
    const auto& all = al::strategies();
    check(std::any_of(all.begin(), all.end(), [&](const al::Strategy* s) { return s->name == o.subject; }),
          "explain: unknown subject '{}'; give a model (unet, resnet18, vgg16, vgg16_bn), 'metrics', 'strategies', or one of "
          "the strategies that 'querent explain strategies' lists",
          o.subject);
    std::printf("%s\n", al::explain(al::find_strategy(o.subject)).c_str());
  }
  return 0;
}

}  // namespace querent::app
