// From a map of pixel uncertainties to one score for the image.
//
//   mean               mean over all pixels; grows with the length of the contour
//   top_percent        mean of the q % largest pixels: small, sharp doubts count
//   max_patch          largest mean over any s x s window: one badly understood region
//   boundary_excluded  mean over pixels further than b px (city block) from the predicted contour: doubt that is not
//                      just "where exactly is the edge"; all pixels when none is that far
//   foreground         sum over pixels / predicted foreground area (at least 1 % of the image): size does not decide
#pragma once
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace querent::al {

enum class Reduce { mean, top_percent, max_patch, boundary_excluded, foreground };
struct Reduction {
  Reduce kind = Reduce::mean;
  double top_percent = 5;
  int64_t patch = 16;    // window side in px, cut to the image
  int64_t boundary = 2;  // px
};
std::string_view name_of(Reduce);
Reduce parse_reduce(std::string_view name);  // Error lists the valid names

// map [H,W]; foreground [H,W] is the mean predicted foreground probability.
double reduce(std::span<const double> map, std::span<const double> foreground, int64_t H, int64_t W, const Reduction&);
// Pixels within `distance` px (city block) of a change between p >= 0.5 and p < 0.5. [H,W]
std::vector<uint8_t> contour_band(std::span<const double> foreground, int64_t H, int64_t W, int64_t distance);

}  // namespace querent::al
