// How good is a learner on a set of cases?
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "al/experiment.h"
#include "al/learner.h"

namespace querent::al {

struct ScoringOptions;

std::string primary_metric(const std::string& task);             // seg: "dice", cls: "auc"
std::vector<std::string> metric_names(const std::string& task);  // in the order of tables
std::string explain_metrics();                                   // what each means, for people

data::LoaderOptions loader_options(const ExperimentConfig& config);

// Means over the cases. seg: dice, iou, hd, hd95 (pixels at the network's size) and, where every case states its pixel
// spacing, hd_mm, hd95_mm. cls: auc, sensitivity, specificity, accuracy, ece.
Metrics evaluate(const Learner& learner, const data::Loader& loader, std::span<const int64_t> cases);

// The same for one case at a time (seg: dice, iou, hd, hd95; cls: the probability of each class).
std::vector<Metrics> evaluate_each(const Learner& learner, const data::Loader& loader, std::span<const int64_t> cases);

// {"bins":[{"confidence","accuracy","count"}],"ece","temperature","ece_after"}. seg: over pixels. The temperature is fitted
// on `validation`; ece_after is the ECE of `cases` with it.
nlohmann::json calibration(const Learner& learner, const data::Loader& loader, std::span<const int64_t> cases,
                           std::span<const int64_t> validation);

// Does it know when it is wrong? Per case {"id","error","uncertainty"}: 1 - Dice, or 0 and 1 for right and wrong, of the
// mean of options.passes MC-dropout passes; the entropy of that mean (seg: averaged over pixels). Empty when
// options.stop() asked to stop.
nlohmann::json doubts(const Learner& learner, const data::Loader& loader, std::span<const int64_t> cases,
                      const ScoringOptions& options);

// Cohen's kappa between the classes (seg: pixels) that two networks predict; labels are not looked at.
double agreement(const Learner& a, const Learner& b, const data::Loader& loader, std::span<const int64_t> cases);

}  // namespace querent::al
