#include "al/evaluation.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "al/calibration.h"
#include "al/metrics.h"
#include "al/scoring.h"
#include "al/stopping.h"
#include "al/turns.h"

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
  constexpr size_t together = 64;  // truths in memory
  const int64_t side = loader.options().size;
  using Each = SegmentationMetrics;
  return in_turns<Each>(cases.size(), together, {}, [&](size_t first, std::span<Each> each) {
    const auto part = cases.subspan(first, each.size());
    std::vector<std::vector<uint8_t>> truth;  // a loader serves one thread at a time
    for (const int64_t c : part) truth.push_back(truth_mask(loader, c));
#pragma omp parallel for schedule(dynamic)
    for (size_t i = 0; i < part.size(); ++i) {
      const data::Case& c = loader.dataset().cases[static_cast<size_t>(part[i])];
      // A pixel of the network's image covers height/side by width/side pixels of the file.
      const Spacing spacing{c.spacing_mm * static_cast<double>(c.height) / static_cast<double>(side),
                            c.spacing_mm * static_cast<double>(c.width) / static_cast<double>(side)};
      each[i] = segmentation_metrics(threshold(p[first + i]), truth[i], side, side, spacing);
    }
  });
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

// Every how many pixels to look at, to see no more than `most`.
constexpr size_t most_sites = 500'000;
size_t stride(const Probabilities& p, bool segments, size_t most) {
  size_t all = 0;
  for (const auto& one : p) all += one.size();
  return segments ? all / most + 1 : 1;
}

// What the network says and what is true, image by image (classification) or pixel by pixel.
struct Sites {
  int64_t classes = 1;         // 1: a sigmoid's logit
  std::vector<float> logits;   // [N,classes]
  std::vector<int64_t> labels; // [N]
};
Sites sites_of(const Learner& learner, const data::Loader& loader, std::span<const int64_t> cases,
               size_t most = std::numeric_limits<size_t>::max()) {
  const Probabilities p = learner.predict(loader, cases);
  const auto log_of = [](float v) { return std::log(std::max(v, 1e-12f)); };
  Sites sites;
  const size_t step = stride(p, learner.model().segments, most - 1);
  for (size_t i = 0; i < cases.size(); ++i) {
    if (learner.model().segments) {
      const std::vector<uint8_t> truth = truth_mask(loader, cases[i]);
      for (size_t k = 0; k < p[i].size(); k += step) {
        sites.logits.push_back(log_of(p[i][k]) - log_of(1 - p[i][k]));
        sites.labels.push_back(truth[k]);
      }
    } else {
      sites.classes = static_cast<int64_t>(p[i].size());
      for (const float v : p[i]) sites.logits.push_back(log_of(v));
      sites.labels.push_back(label_of(loader, cases[i]));
    }
  }
  return sites;
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

json calibration(const Learner& learner, const data::Loader& loader, std::span<const int64_t> cases,
                 std::span<const int64_t> validation) {
  const bool segments = learner.model().segments;
  const Sites fitted_on = sites_of(learner, loader, validation, most_sites), test = sites_of(learner, loader, cases);
  const double temperature = fit_temperature(fitted_on.logits, fitted_on.labels, fitted_on.classes);
  const auto reliability = [&](double T) {
    Reliability r;
    const std::vector<double> p = calibrated(test.logits, test.classes, T);
    const auto C = static_cast<size_t>(test.classes);
    for (size_t i = 0; i < test.labels.size(); ++i) {
      const auto row = std::span(p).subspan(i * C, C);
      const auto best = std::max_element(row.begin(), row.end());
      const int64_t said = segments ? *best >= 0.5 : best - row.begin();
      r.add(std::min(1.0, segments ? std::max(*best, 1 - *best) : *best), said == test.labels[i]);
    }
    return r;
  };
  const Reliability before = reliability(1);
  json bins = json::array();
  for (const ReliabilityBin& b : before.bins()) {
    bins.push_back({{"confidence", b.confidence}, {"accuracy", b.accuracy}, {"count", b.count}});
  }
  return {{"bins", bins},
          {"ece", before.ece()},
          {"temperature", temperature},
          {"ece_after", reliability(temperature).ece()}};
}

json doubts(const Learner& learner, const data::Loader& loader, std::span<const int64_t> cases,
            const ScoringOptions& o) {
  constexpr size_t together = 8;
  const int64_t side = loader.options().size;
  struct Doubt {
    double error, uncertainty;
  };
  const auto look = [&](size_t first, std::span<Doubt> doubts) {
    const auto part = cases.subspan(first, doubts.size());
    const std::vector<CasePasses> said = stochastic_passes(learner, loader, part, o.passes, o.seed);
    for (size_t i = 0; i < part.size(); ++i) {
      const UncertaintyMaps maps = uncertainty_maps(learner.model(), said[i], o.passes);
      const std::vector<float> mean(maps.mean.begin(), maps.mean.end());
      const auto best = std::max_element(mean.begin(), mean.end()) - mean.begin();
      const double error = learner.model().segments
                               ? 1 - segmentation_metrics(threshold(mean), truth_mask(loader, part[i]), side, side).dice
                               : best != label_of(loader, part[i]);
      doubts[i] = {error, mean_of(maps.entropy)};
    }
    o.progress(static_cast<int64_t>(first + part.size()), static_cast<int64_t>(cases.size()));
  };
  const std::vector<Doubt> all = in_turns<Doubt>(cases.size(), together, o.stop, look);
  json list = json::array();
  for (size_t i = 0; i < all.size(); ++i)
    list.push_back({{"id", loader.dataset().cases[static_cast<size_t>(cases[i])].id}, {"error", all[i].error},
                    {"uncertainty", all[i].uncertainty}});
  return list;
}

double agreement(const Learner& a, const Learner& b, const data::Loader& loader, std::span<const int64_t> cases) {
  std::vector<std::vector<int64_t>> said;
  for (const Learner* learner : {&a, &b}) {
    std::vector<int64_t>& predicted = said.emplace_back();
    const Probabilities p = learner->predict(loader, cases);
    const size_t step = stride(p, learner->model().segments, most_sites);
    for (const auto& one : p) {
      if (!learner->model().segments) {
        predicted.push_back(std::max_element(one.begin(), one.end()) - one.begin());
        continue;
      }
      for (size_t k = 0; k < one.size(); k += step) predicted.push_back(one[k] >= 0.5f);
    }
  }
  return cohens_kappa(said[0], said[1]);
}

}  // namespace querent::al
