// Films with a hole in the middle, filled by a context encoder: Pathak et al., "Context Encoders: Feature Learning by
// Inpainting" (CVPR 2016).
//
//   hole      a centred square; the network sees the rest and predicts the square and a band round it (inpainting.h)
//   losses    l2: squares weighted 10 in the band; joint: 0.999 of that and 0.001 of the adversarial loss, whose
//             discriminator sees the predicted square alone
//   beside    mean: the mean training film; border: smooth between the pixels round the hole; nearest: the training
//             film that is most like what is seen
//   figures   of the pixels of the hole of test films, greys from 0 to 1, film by film: mean |d|, mean d^2, PSNR
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "al/experiment.h"

namespace querent::al {

struct PathakConfig {
  std::vector<std::string> losses = {"l2", "joint"};  // joint: with the adversarial loss
  int64_t seeds = 3;
  uint64_t seed = 1;              // the first of them
  int64_t size = 64, width = 16;  // pixels; channels of the first convolution
  int64_t overlap = 4;            // width of the band round the hole that is seen and predicted
  double band_weight = 10, adversarial = 0.001;
  int64_t steps = 1500, batch = 16;
  double lr = 2e-3;  // of the context encoder; a tenth of it of the discriminator
  bool augment = true;
  double val_fraction = 0.1, test_fraction = 0.2;  // for the record: the data set comes split
  int64_t gallery = 6;                             // films shown
  std::string data;

  std::string json() const;  // what determines a unit; losses and seeds only say how far to go
};

// Runs or continues the experiment in folder `out`; false when hooks.stop() asked to stop. Writes units/, weights/,
// gallery/ and pathak2016.json, {"train", "test" (films), "size", "hole" (pixels of the sides), "methods": [{"method"
// (a baseline or a loss), "picture" (PNG: config.gallery films one below the other), "l1", "l2", "psnr" (means over
// seeds and films), "seeds": [{"seed", "l1", "l2", "psnr"}], and of losses "difference", "low", "high" (of l2 to the
// best baseline: 95 % over patients)}], "best_baseline"}. Errors: no training or test films; options out of range.
bool run_pathak2016(const PathakConfig& config, const data::Dataset& dataset, const std::string& out,
                    const Hooks& hooks);

}  // namespace querent::al
