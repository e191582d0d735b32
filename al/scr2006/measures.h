// What van Ginneken, Stegmann and Loog (Medical Image Analysis 2006) measure of a segmentation: overlap, contour
// distance, cardiothoracic ratio; and how their tables summarise it. Masks are [H,W], non-zero = inside; dy, dx are
// millimetres (or 1) per pixel.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace querent::al {

using MaskView = std::span<const uint8_t>;

// Omega = TP / (TP + FP + FN), the Jaccard index; 1 when both are empty.
double overlap(MaskView found, MaskView truth);
// mean_contour_distance, also where a mask is empty: both 0, one the diagonal of the picture.
double contour_distance(MaskView found, MaskView truth, int64_t H, int64_t W, double dy, double dx);

// Internal width of the thorax: in the row where it is largest, from the outermost lung pixel on one side to that on
// the other. NaN for an empty mask.
double thoracic_width(MaskView lungs, int64_t H, int64_t W, double dx);
// Transverse diameter of the heart: from its leftmost to its rightmost column. NaN for an empty mask.
double heart_width(MaskView heart, int64_t H, int64_t W, double dx);
// heart_width / thoracic_width; NaN when either mask is empty.
double cardiothoracic_ratio(MaskView lungs, MaskView heart, int64_t H, int64_t W);

struct Distribution {
  int64_t n = 0;
  double mean = 0, sd = 0;  // sd: n - 1
  double min = 0, q1 = 0, median = 0, q3 = 0, max = 0;
};
Distribution distribution(std::vector<double> values);  // not empty

}  // namespace querent::al
