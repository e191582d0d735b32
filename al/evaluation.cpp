#include "al/evaluation.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "al/calibration.h"
#include "al/metrics.h"

namespace querent::al {
namespace {

using nlohmann::json;
using Probabilities = std::vector<std::vector<float>>;

int64_t label_of(const data::Loader& loader, int64_t c) {
  return data::class_index(loader.dataset(), loader.dataset().cases[static_cast<size_t>(c)]);
}
std::vector<uint8_t> truth_mask(const data::Loader& loader, int64_t c) {
  return threshold(loader.mask(c).pixels);
}

std::vector<SegmentationMetrics> segmentation_each(const Probabilities& p, const data::Loader& loader,
                                                   std::span<const int64_t> cases) {
  std::vector<SegmentationMetrics> each(cases.size());
  const int64_t side = loader.options().size;
  std::vector<std::vector<uint8_t>> truth;  // a loader serves one thread at a time
  for (const int64_t c : cases) truth.push_back(truth_mask(loader, c));
#pragma omp parallel for schedule(dynamic)
  for (size_t i = 0; i < cases.size(); ++i) {
    const data::Case& c = loader.dataset().cases[static_cast<size_t>(cases[i])];
    // A pixel of the network's image covers height/side by width/side pixels of the file.
    const Spacing spacing{c.spacing_mm * static_cast<double>(c.height) / static_cast<double>(side),
                          c.spacing_mm * static_cast<double>(c.width) / static_cast<double>(side)};
    each[i] = segmentation_metrics(threshold(p[i]), truth[i], side, side, spacing);
  }
  return each;
}

ClassificationMetrics classification(const Probabilities& p, const data::Loader& loader, std::span<const int64_t> cases) {
  std::vector<float> flat;
  std::vector<int64_t> labels;
  for (size_t i = 0; i < cases.size(); ++i) {
    flat.insert(flat.end(), p[i].begin(), p[i].end());
    labels.push_back(label_of(loader, cases[i]));
  }
  return classification_metrics(flat, labels, static_cast<int64_t>(p.at(0).size()));
}

Metrics as_map(const NamedMetrics& named) { return Metrics(named.begin(), named.end()); }

}  // namespace

std::string primary_metric(const std::string& task) { return task == "seg" ? "dice" : "auc"; }

std::vector<std::string> metric_names(const std::string& task) {
  if (task == "seg") return {"dice", "iou", "hausdorff_px", "hausdorff95_px", "hausdorff_mm", "hausdorff95_mm"};
  return {"auc", "sensitivity", "specificity", "accuracy", "ece", "nll", "brier"};
}

std::string explain_metrics() {
  return "segmentation, mean over images\n"
         "  dice           2 |A and B| / (|A| + |B|): 1 is perfect overlap\n"
         "  iou            |A and B| / |A or B|\n"
         "  hausdorff_px   largest distance from one outline to the other, in pixels of the network's image; _mm where the\n"
         "                 pixel spacing is known; hausdorff95 takes the 95th percentile, so one stray pixel does not decide\n"
         "classification\n"
         "  auc            chance that a random positive scores above a random negative; several classes: mean of one\n"
         "                 against the rest\n"
         "  sensitivity    share of positives found at p >= 0.5; specificity: share of negatives left alone\n"
         "  ece            mean gap between confidence and accuracy over 15 bins: 0 is perfectly calibrated\n";
}

data::LoaderOptions loader_options(const ExperimentConfig& c) {
  data::LoaderOptions o;
  o.size = c.size;
  o.masks = c.task == "seg";
  o.allow_empty_masks = c.allow_empty_masks;
  o.seed = c.seed;
  if (c.augment) o.augmentation = data::chest_augmentation();
  return o;
}

Metrics evaluate(const Learner& learner, const data::Loader& loader, std::span<const int64_t> cases) {
  const Probabilities p = learner.predict(loader, cases);
  if (learner.model().segments) return as_map(mean_metrics(segmentation_each(p, loader, cases)).named());
  return as_map(classification(p, loader, cases).named());
}

std::vector<Metrics> evaluate_each(const Learner& learner, const data::Loader& loader, std::span<const int64_t> cases) {
  const Probabilities p = learner.predict(loader, cases);
  std::vector<Metrics> each;
  if (learner.model().segments) {
    for (const SegmentationMetrics& m : segmentation_each(p, loader, cases)) each.push_back(as_map(m.named()));
    return each;
  }
  for (size_t i = 0; i < cases.size(); ++i) {
    Metrics m;
    for (size_t c = 0; c < p[i].size(); ++c) m["p_" + loader.dataset().classes.at(c)] = static_cast<double>(p[i][c]);
    const int64_t truth = label_of(loader, cases[i]);
    if (truth >= 0) m["probability_of_truth"] = static_cast<double>(p[i].at(static_cast<size_t>(truth)));
    each.push_back(m);
  }
  return each;
}

json calibration(const Learner& learner, const data::Loader& loader, std::span<const int64_t> cases) {
  const Probabilities p = learner.predict(loader, cases);
  Reliability reliability;
  if (learner.model().segments) {
    for (size_t i = 0; i < cases.size(); ++i) reliability.add_mask(p[i], truth_mask(loader, cases[i]));
  } else {
    for (size_t i = 0; i < cases.size(); ++i) {
      const auto best = std::max_element(p[i].begin(), p[i].end());
      reliability.add(static_cast<double>(*best), best - p[i].begin() == label_of(loader, cases[i]));
    }
  }
  json bins = json::array();
  for (const ReliabilityBin& b : reliability.bins()) {
    bins.push_back({{"confidence", b.confidence}, {"accuracy", b.accuracy}, {"count", b.count}});
  }
  return {{"bins", bins}, {"ece", reliability.ece()}};
}

}  // namespace querent::al
