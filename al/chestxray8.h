// Findings and where they are, learnt from labels of whole films: Wang et al., "ChestX-ray8" (CVPR 2017).
//
//   network   stages of ResNet18 - transition - pooling - linear (models/chestxray8.h), one sigmoid for each finding
//   loss      cross-entropy weighted by beta_P, beta_N of each batch
//   boxes     the heat map of a finding, normalised to [0,1], cut at 60/255 and at 180/255: a box round each region
//   figures   AUC of each finding; share of the true boxes that a box hits with IoBB or IoU above a threshold, beside
//             what another film's boxes hit; false boxes a film (al/localization.h). On the test films with boxes
//
// One network for each kind of pooling (log-sum-exp with r = 10 is the paper's), all with the same first weights and
// batches. Unlike in the paper the networks begin from random weights and read small films; below 256 pixels the stem
// halves nothing, so that the heat map has an eighth of the side.
#pragma once
#include <string>
#include <vector>

#include "al/experiment.h"

namespace querent::al {

struct ChestXray8Config {
  std::vector<std::string> findings;  // empty: all that occur (al/findings.h)
  std::vector<std::string> poolings = {"lse", "average", "max"};
  double r = 10;                   // of lse
  int64_t size = 128, width = 16;  // pixels; channels of the first stage
  int64_t steps = 600, batch = 16;
  double lr = 2e-3, weight_decay = 1e-4;
  bool augment = true;
  double val_fraction = 0.1, test_fraction = 0.2;  // for the record: the data set comes split
  int64_t gallery = 4;                             // films shown of each finding
  uint64_t seed = 1;
  std::string data;

  std::string json() const;  // what determines a unit; poolings only say how far to go
};

// AUC of ResNet-50 with log-sum-exp pooling on the paper's data, table 3; 0 for another finding.
double chestxray8_published(const std::string& finding);

// Runs or continues the experiment in folder `out`; false when hooks.stop() asked to stop. Writes units/, weights/,
// gallery/ and chestxray8.json, {"findings", "train", "test" (films), "published", "poolings": [{"pooling", "auc"
// {finding: null where the test films do not tell}, "mean_auc", "boxes" [{"finding" ("all": together), "criterion"
// ("iobb" or "iou"), "threshold", "films", "boxes" (true ones), "accuracy", "chance" (the share that the boxes of
// the next such film hit; null for one film), "false_boxes" (a film)}], "gallery" [{"id", "finding", "probability",
// "film", "heat" (PNG files), "truth", "boxes" ([left, top, right, bottom] in fractions of the side)}]}]}. Errors: a finding
// nobody has; no training or no test films; options out of range.
bool run_chestxray8(const ChestXray8Config& config, const data::Dataset& dataset, const std::string& out,
                    const Hooks& hooks);

}  // namespace querent::al
