#include "al/surface_distance.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "al/statistics.h"
#include "tensor/error.h"

namespace querent::al {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

// out[q] = min_p step^2 (q - p)^2 + f[p]: the lower envelope of the parabolas rooted at the finite f[p].
void transform_line(std::span<const double> f, double step, std::span<double> out, std::vector<size_t>& root,
                    std::vector<double>& from) {
  root.clear();
  from.clear();
  const double s2 = step * step;
  for (size_t p = 0; p < f.size(); ++p) {
    if (f[p] == infinity) continue;
    const double x = static_cast<double>(p);
    double start = -infinity;
    while (!root.empty()) {
      const double r = static_cast<double>(root.back());
      start = ((f[p] / s2 + x * x) - (f[root.back()] / s2 + r * r)) / (2 * (x - r));  // where p gets below root
      if (start > from.back()) break;
      root.pop_back();
      from.pop_back();
      start = -infinity;
    }
    root.push_back(p);
    from.push_back(start);
  }
  if (root.empty()) {
    std::fill(out.begin(), out.end(), infinity);
    return;
  }
  size_t k = 0;
  for (size_t q = 0; q < out.size(); ++q) {
    while (k + 1 < root.size() && from[k + 1] < static_cast<double>(q)) ++k;
    const double d = static_cast<double>(q) - static_cast<double>(root[k]);
    out[q] = s2 * d * d + f[root[k]];
  }
}

// Distances from the pixels of `from` to the nearest pixel of `to`, ascending.
std::vector<double> directed(std::span<const uint8_t> from, std::span<const uint8_t> to, int64_t H, int64_t W,
                             double dy, double dx) {
  const std::vector<double> squared = squared_distance_transform(to, H, W, dy, dx);
  std::vector<double> d;
  for (size_t i = 0; i < from.size(); ++i)
    if (from[i]) d.push_back(std::sqrt(squared[i]));
  std::sort(d.begin(), d.end());
  return d;
}

}  // namespace

std::vector<double> squared_distance_transform(std::span<const uint8_t> mask, int64_t H, int64_t W, double dy,
                                               double dx) {
  check(H > 0 && W > 0 && mask.size() == static_cast<size_t>(H * W), "distance: a mask of {} pixels is not {}x{}",
        mask.size(), H, W);
  check(dy > 0 && dx > 0, "distance: pixel spacing must be positive, got {} x {}", dy, dx);
  const auto h = static_cast<size_t>(H), w = static_cast<size_t>(W);
  std::vector<double> d(h * w), column(h), line(std::max(h, w)), from;
  std::vector<size_t> root;
  for (size_t i = 0; i < d.size(); ++i) d[i] = mask[i] ? 0 : infinity;
  for (size_t y = 0; y < h; ++y) {
    transform_line(std::span(d).subspan(y * w, w), dx, std::span(line).first(w), root, from);
    std::copy_n(line.begin(), w, d.begin() + static_cast<ptrdiff_t>(y * w));
  }
  for (size_t x = 0; x < w; ++x) {
    for (size_t y = 0; y < h; ++y) column[y] = d[y * w + x];
    transform_line(column, dy, std::span(line).first(h), root, from);
    for (size_t y = 0; y < h; ++y) d[y * w + x] = line[y];
  }
  return d;
}

std::vector<uint8_t> outline(std::span<const uint8_t> mask, int64_t H, int64_t W) {
  internal_check(mask.size() == static_cast<size_t>(H * W), "distance: a mask of {} pixels is not {}x{}", mask.size(),
                 H, W);
  std::vector<uint8_t> edge(mask.size(), 0);
  const auto w = static_cast<size_t>(W);
  for (int64_t y = 0; y < H; ++y)
    for (int64_t x = 0; x < W; ++x) {
      const auto i = static_cast<size_t>(y * W + x);
      const bool inner =
          y > 0 && y + 1 < H && x > 0 && x + 1 < W && mask[i - w] && mask[i + w] && mask[i - 1] && mask[i + 1];
      edge[i] = mask[i] && !inner;
    }
  return edge;
}

namespace {

// Both directions between the outlines.
struct OutlineDistances {
  std::vector<double> ab, ba;
};
OutlineDistances outline_distances(std::span<const uint8_t> a, std::span<const uint8_t> b, int64_t H, int64_t W,
                                   double dy, double dx) {
  const std::vector<uint8_t> edge_a = outline(a, H, W), edge_b = outline(b, H, W);
  OutlineDistances d{directed(edge_a, edge_b, H, W, dy, dx), directed(edge_b, edge_a, H, W, dy, dx)};
  internal_check(!d.ab.empty() && !d.ba.empty(), "distance: an empty mask has no outline");
  return d;
}

}  // namespace

Hausdorff hausdorff(std::span<const uint8_t> a, std::span<const uint8_t> b, int64_t H, int64_t W, double dy,
                    double dx) {
  const auto [ab, ba] = outline_distances(a, b, H, W, dy, dx);
  return {std::max(ab.back(), ba.back()), std::max(quantile(ab, 0.95), quantile(ba, 0.95))};
}

double mean_contour_distance(std::span<const uint8_t> a, std::span<const uint8_t> b, int64_t H, int64_t W, double dy,
                             double dx) {
  const auto [ab, ba] = outline_distances(a, b, H, W, dy, dx);
  const auto mean = [](const std::vector<double>& d) {
    return std::accumulate(d.begin(), d.end(), 0.0) / static_cast<double>(d.size());
  };
  return (mean(ab) + mean(ba)) / 2;
}

}  // namespace querent::al
