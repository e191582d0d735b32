// How good is the model? Classification and segmentation metrics on the CPU, in double precision.
//
// A figure that does not exist (AUC without a negative, mm without a known spacing) is NaN in the struct and absent
// from named().
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "al/calibration.h"

namespace querent::al {

using NamedMetrics = std::vector<std::pair<std::string, double>>;

// Area under the ROC curve: the probability that a random positive scores above a random negative, ties counted half
// (Mann-Whitney U by mean ranks). NaN when either side is empty.
double auc(std::span<const double> scores, std::span<const uint8_t> positive);

struct ClassificationMetrics {
  int64_t count = 0, classes = 0;
  double auc = 0;                           // C = 2: of class 1; else mean over classes of one against the rest
  double sensitivity = 0, specificity = 0;  // C = 2: class 1 at p >= 0.5; else mean over classes present, by argmax
  double accuracy = 0;
  double ece = 0;    // 15 bins over the confidence of the predicted class
  double nll = 0;    // -mean log p_y, p at least 1e-12
  double brier = 0;  // mean_n sum_c (p_c - [c = y])^2, in [0, 2]; for C = 2 twice the one-column form
  std::vector<double> class_auc, class_sensitivity, class_specificity;  // [C]
  std::vector<int64_t> confusion;                                       // [C,C], rows truth, columns prediction
  std::vector<ReliabilityBin> reliability;
  NamedMetrics named() const;
};
// p [N,C], rows adding up to 1; labels [N] in 0..C-1. Errors: sizes, N = 0, values that are not probabilities.
ClassificationMetrics classification_metrics(std::span<const float> p, std::span<const int64_t> labels, int64_t classes,
                                             int64_t bins = 15);

struct SegmentationMetrics {
  double dice = 0, iou = 0;
  double hausdorff_px = 0, hausdorff95_px = 0;
  double hausdorff_mm = 0, hausdorff95_mm = 0;  // NaN without spacing
  NamedMetrics named() const;
};
struct Spacing {
  double dy = 0, dx = 0;  // mm per pixel; 0 = not known
};
// Masks [H,W], non-zero = foreground. Both empty: Dice = IoU = 1, distance 0. One empty: Dice = IoU = 0, distance = the
// image diagonal.
SegmentationMetrics segmentation_metrics(std::span<const uint8_t> predicted, std::span<const uint8_t> truth, int64_t H,
                                         int64_t W, Spacing = {});
SegmentationMetrics mean_metrics(std::span<const SegmentationMetrics>);     // per image, then averaged; mm where known
std::vector<uint8_t> threshold(std::span<const float> p, float at = 0.5f);  // p >= at

}  // namespace querent::al
