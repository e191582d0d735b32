#include "al/synthesis/infill.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "al/surface_distance.h"
#include "al/synthesis/intensity.h"
#include "tensor/error.h"

namespace querent::al {
namespace {

std::vector<uint8_t> bits(const Image& mask) {
  std::vector<uint8_t> b;
  for (const float v : mask.pixels) b.push_back(v != 0);
  return b;
}
double scale_of(const Image& image) { return static_cast<double>(std::max(image.height, image.width)) / 512; }
// 1 at 0, 0 from 1 on, level at both ends.
double fade(double t) {
  const double c = std::cos(1.57079632679489661923 * std::min(t, 1.0));
  return t < 1 ? c * c : 0;
}

// The displacement of the boundary carried to point q: a Gaussian-weighted mean over the control points. Weights are
// relative to the nearest point, so that they do not vanish far away.
Vec2 carried(const Vec2& q, const Displacement& moved, double width, std::vector<double>& squared) {
  double nearest = INFINITY;
  for (size_t i = 0; i < moved.points.size(); ++i) {
    const double x = q.x - moved.points[i].x, y = q.y - moved.points[i].y;
    squared[i] = x * x + y * y;
    nearest = std::min(nearest, squared[i]);
  }
  const double far = nearest + 18 * width * width;  // exp(-9) and below are left out
  double sum = 0;
  Vec2 d;
  for (size_t i = 0; i < squared.size(); ++i) {
    if (squared[i] > far) continue;
    const double w = std::exp((nearest - squared[i]) / (2 * width * width));
    sum += w;
    d.x += w * moved.moves[i].x;
    d.y += w * moved.moves[i].y;
  }
  return {d.x / sum, d.y / sum};
}

float bilinear(const Image& image, double y, double x) {
  y = std::clamp(y, 0.0, static_cast<double>(image.height - 1));
  x = std::clamp(x, 0.0, static_cast<double>(image.width - 1));
  const auto iy = static_cast<int64_t>(y), ix = static_cast<int64_t>(x);
  const int64_t jy = std::min(iy + 1, image.height - 1), jx = std::min(ix + 1, image.width - 1);
  const auto wy = static_cast<float>(y - static_cast<double>(iy)), wx = static_cast<float>(x - static_cast<double>(ix));
  const float top = image.at(iy, ix) * (1 - wx) + image.at(iy, jx) * wx;
  const float bottom = image.at(jy, ix) * (1 - wx) + image.at(jy, jx) * wx;
  return top * (1 - wy) + bottom * wy;
}

}  // namespace

Image warp_to_boundary(const Image& image, const Displacement& moved, const Image& protected_region,
                       const InfillOptions& o) {
  internal_check(image.pixels.size() == moved.mask.pixels.size(), "infill: an image of {} pixels, a mask of {}",
                 image.pixels.size(), moved.mask.pixels.size());
  if (!moved.changed()) return image;
  const int64_t H = image.height, W = image.width;
  const double scale = scale_of(image), reach = o.reach_px * scale, clear = o.protected_px * scale;
  std::vector<double> to_boundary = squared_distance_transform(outline(bits(moved.mask), H, W), H, W);
  std::vector<double> to_protected;
  if (!protected_region.pixels.empty()) to_protected = squared_distance_transform(bits(protected_region), H, W);

  // Only pixels near a point that moved can move; the others need no look at all control points.
  std::vector<uint8_t> moving(image.pixels.size(), 0);
  const double spacing = moved.spacing;
  for (size_t i = 0; i < moved.points.size(); ++i) {
    const Vec2 &p = moved.points[i], &d = moved.moves[i];
    if (d.x == 0 && d.y == 0) continue;
    const auto y = std::clamp(static_cast<int64_t>(std::lround(p.y)), int64_t{0}, H - 1);
    const auto x = std::clamp(static_cast<int64_t>(std::lround(p.x)), int64_t{0}, W - 1);
    moving[static_cast<size_t>(y * W + x)] = 1;
  }
  const std::vector<double> to_moving = squared_distance_transform(moving, H, W);

  Image out = image;
  std::vector<double> squared(moved.points.size());
  for (int64_t y = 0; y < H; ++y)
    for (int64_t x = 0; x < W; ++x) {
      const auto i = static_cast<size_t>(y * W + x);
      if (to_moving[i] > (reach + spacing) * (reach + spacing)) continue;
      double strength = fade(std::sqrt(to_boundary[i]) / reach);
      if (!to_protected.empty()) strength *= 1 - fade(std::sqrt(to_protected[i]) / clear);
      if (strength == 0) continue;
      const Vec2 u = carried({static_cast<double>(x), static_cast<double>(y)}, moved, spacing, squared);
      out.at(y, x) = bilinear(image, static_cast<double>(y) - strength * u.y, static_cast<double>(x) - strength * u.x);
    }
  return out;
}

Image sample_infill(const Image& image, const Image& before, const Image& after, const InfillOptions& o, Rng rng) {
  const int64_t H = image.height, W = image.width;
  const double reach = o.reach_px * scale_of(image);
  const std::vector<double> to_mask = squared_distance_transform(bits(before), H, W);
  std::vector<float> inside, outside;
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    if (before.pixels[i] != 0)
      inside.push_back(image.pixels[i]);
    else if (to_mask[i] <= reach * reach)
      outside.push_back(image.pixels[i]);
  }
  const IntensityHistogram in(std::move(inside)), round(std::move(outside));
  Image drawn = image;
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    if (before.pixels[i] == after.pixels[i]) continue;
    const IntensityHistogram& h = after.pixels[i] != 0 ? in : round;
    if (!h.empty()) drawn.pixels[i] = h.quantile(Rng(rng.key(), 2 * i).uniform());
  }
  if (o.blur_px <= 0) return drawn;
  Image out = drawn;
  const auto radius = static_cast<int64_t>(std::ceil(3 * o.blur_px));
  for (int64_t y = 0; y < H; ++y)
    for (int64_t x = 0; x < W; ++x) {
      if (before.at(y, x) == after.at(y, x)) continue;
      double sum = 0, weights = 0;
      for (int64_t v = std::max<int64_t>(y - radius, 0); v <= std::min(y + radius, H - 1); ++v)
        for (int64_t u = std::max<int64_t>(x - radius, 0); u <= std::min(x + radius, W - 1); ++u) {
          const double w =
              std::exp(-static_cast<double>((v - y) * (v - y) + (u - x) * (u - x)) / (2 * o.blur_px * o.blur_px));
          sum += w * drawn.at(v, u);
          weights += w;
        }
      out.at(y, x) = static_cast<float>(sum / weights);
    }
  return out;
}

}  // namespace querent::al
