// Distances between the outlines of two masks.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace querent::al {

// Squared Euclidean distance of every pixel to the nearest non-zero pixel, exact and in linear time (Felzenszwalb and
// Huttenlocher, "Distance Transforms of Sampled Functions", 2012). Infinite when there is none. [H,W]; dy, dx: pixel
// spacing, e.g. mm.
std::vector<double> squared_distance_transform(std::span<const uint8_t> mask, int64_t H, int64_t W, double dy = 1,
                                               double dx = 1);
// Outline: mask minus its erosion by the 4-neighbour cross; outside the image counts as background. [H,W] of 0/1.
std::vector<uint8_t> outline(std::span<const uint8_t> mask, int64_t H, int64_t W);

struct Hausdorff {
  double max = 0, p95 = 0;  // larger of the two directed maxima; larger of the two directed 95th percentiles
};
// Neither mask may be empty.
Hausdorff hausdorff(std::span<const uint8_t> a, std::span<const uint8_t> b, int64_t H, int64_t W, double dy = 1,
                    double dx = 1);
// Mean absolute contour distance: over the outline of `a` the mean distance to the outline of `b`, and the other way
// round; the mean of both. Neither mask may be empty.
double mean_contour_distance(std::span<const uint8_t> a, std::span<const uint8_t> b, int64_t H, int64_t W,
                             double dy = 1, double dx = 1);

}  // namespace querent::al
