#include "al/scr2006/measures.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "al/statistics.h"
#include "al/surface_distance.h"
#include "tensor/error.h"

namespace querent::al {
namespace {

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

struct Extent {
  int64_t first = std::numeric_limits<int64_t>::max(), last = -1;  // columns
  void add(int64_t x) { first = std::min(first, x), last = std::max(last, x); }
  int64_t width() const { return last < 0 ? 0 : last - first + 1; }
};

void check_size(MaskView mask, int64_t H, int64_t W) {
  check(H > 0 && W > 0 && mask.size() == static_cast<size_t>(H * W), "measures: a mask of {} pixels is not {}x{}",
        mask.size(), H, W);
}
bool empty(MaskView mask) {
  return std::none_of(mask.begin(), mask.end(), [](uint8_t v) { return v != 0; });
}
double length(int64_t pixels, double dx) { return pixels > 0 ? static_cast<double>(pixels) * dx : unknown; }

}  // namespace

double overlap(MaskView found, MaskView truth) {
  check(found.size() == truth.size(), "measures: masks of {} and {} pixels", found.size(), truth.size());
  int64_t both = 0, either = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    both += found[i] && truth[i];
    either += found[i] || truth[i];
  }
  return either > 0 ? static_cast<double>(both) / static_cast<double>(either) : 1;
}

double contour_distance(MaskView found, MaskView truth, int64_t H, int64_t W, double dy, double dx) {
  check_size(found, H, W), check_size(truth, H, W);
  const bool a = empty(found), b = empty(truth);
  if (a && b) return 0;
  if (a || b) return std::hypot(static_cast<double>(H) * dy, static_cast<double>(W) * dx);
  return mean_contour_distance(found, truth, H, W, dy, dx);
}

double thoracic_width(MaskView lungs, int64_t H, int64_t W, double dx) {
  check_size(lungs, H, W);
  int64_t widest = 0;
  for (int64_t y = 0; y < H; ++y) {
    Extent row;
    for (int64_t x = 0; x < W; ++x)
      if (lungs[static_cast<size_t>(y * W + x)]) row.add(x);
    widest = std::max(widest, row.width());
  }
  return length(widest, dx);
}

double heart_width(MaskView heart, int64_t H, int64_t W, double dx) {
  check_size(heart, H, W);
  Extent all;
  for (int64_t i = 0; i < H * W; ++i)
    if (heart[static_cast<size_t>(i)]) all.add(i % W);
  return length(all.width(), dx);
}

double cardiothoracic_ratio(MaskView lungs, MaskView heart, int64_t H, int64_t W) {
  return heart_width(heart, H, W, 1) / thoracic_width(lungs, H, W, 1);
}

Distribution distribution(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const Summary s = summarize(values);
  return {
      s.n,          s.mean, s.sd, values.front(), quantile(values, 0.25), quantile(values, 0.5), quantile(values, 0.75),
      values.back()};
}

}  // namespace querent::al
