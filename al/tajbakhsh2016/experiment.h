// Training from scratch against fine-tuning, layer by layer: Tajbakhsh et al., "Convolutional Neural Networks for
// Medical Image Analysis: Full Training or Fine Tuning?" (IEEE TMI 2016).
//
//   source    a network trained on another task, one for each seed, or a weight file
//   arms      scratch, and the source network with a new output layer whose last k layers are tuned (models/train.h)
//   shares    every arm learns from 25, 50, 75 and 100 % of the training films; small shares are part of larger ones
//   figures   AUC on the test films; against scratch, paired over the same films and seeds. Validation chooses k
//
// All arms of a seed and share see the same films in the same order for the same number of steps, at one learning rate
// for all tuned layers (the paper gives the output layer ten times the rate of the others).
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "al/experiment.h"

namespace querent::al {

struct TajbakhshConfig {
  std::vector<int64_t> depths = {1, 2, 4, 8, 0};  // last layers that are tuned; 0: all
  std::vector<double> shares = {0.25, 0.5, 0.75, 1};
  int64_t seeds = 3;
  uint64_t seed = 1;               // the first of them
  std::string model = "resnet18";  // or vgg16, vgg16_bn
  int64_t size = 64, width = 16;   // pixels; channels of the first stage
  int64_t steps = 300, source_steps = 900, batch = 16;
  double lr = 1e-3, weight_decay = 1e-4;
  bool augment = true;
  std::string weights;  // safetensors to begin from instead of a source task
  std::string source;   // data of the source task; empty: `data`
  std::vector<std::string> source_classes, source_merge;
  double source_share = 0.5;                       // of the patients that both tasks could train on
  double val_fraction = 0.1, test_fraction = 0.2;  // for the record: the data sets come split
  std::string data;

  std::string json() const;  // what determines a unit; depths, shares and seeds only say how far to go
};

// Runs or continues the experiment in folder `out`; false when hooks.stop() asked to stop. `source` is read when the
// configuration names no weights. Writes units/, weights/, manifest.jsonl and tajbakhsh2016.json, {"classes", "train",
// "val", "test" (films), "seeds", "source": null or {"classes", "films", "auc" (of each seed)}, "arms": [{"arm"
// ("scratch" or "tuned"), "depth", "cells": [{"share", "films", "auc", "val_auc" (of each seed), "mean", "low", "high"
// (95 % over seeds), and but for scratch "difference", "difference_low", "difference_high" (95 % over patients), "wins"
// (seeds), "p_holm" (Wilcoxon over seeds)}]}], "verdict": [{"share", "films", "depth" (by validation), "tuned",
// "scratch" (AUC), "difference", "low", "high", "level" (95 % for all shares together), "winner" ("tuned", "scratch" or
// "neither")}]}. Errors: a split without a class; options out of range.
bool run_tajbakhsh2016(const TajbakhshConfig& config, const data::Dataset& target, const data::Dataset& source,
                       const std::string& out, const Hooks& hooks);

}  // namespace querent::al
