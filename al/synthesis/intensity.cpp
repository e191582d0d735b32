#include "al/synthesis/intensity.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "al/surface_distance.h"
#include "tensor/error.h"

namespace querent::al {
namespace {

constexpr std::array<std::string_view, 3> mode_names = {"affine", "literal", "histogram"};

// A value of the grid low, low + step, ..., high.
double on_grid(double low, double high, double step, Rng& rng) {
  check(high >= low && step > 0, "intensity: a range from {} to {} in steps of {}", low, high, step);
  return low + step * static_cast<double>(rng.below(std::llround((high - low) / step) + 1));
}
// [low, high] scaled to [-size, size].
double centred(double v, double low, double high, double size) {
  return high > low ? size * (2 * v - low - high) / (high - low) : 0;
}

// How much of the change a pixel takes: 1 inside the mask and 0 outside, with a ramp across the boundary, where a pixel
// shows some of both sides; 0 on protected pixels, rising beside them.
std::vector<double> strength(const Image& mask, const Image& protected_region, const IntensityOptions& o) {
  const int64_t H = mask.height, W = mask.width;
  const double scale = static_cast<double>(std::max(H, W)) / 512;
  std::vector<uint8_t> inside, outside, kept;
  for (const float v : mask.pixels) inside.push_back(v != 0), outside.push_back(v == 0);
  for (const float v : protected_region.pixels) kept.push_back(v != 0);
  const std::vector<double> in = squared_distance_transform(outside, H, W),
                            out = squared_distance_transform(inside, H, W);
  std::vector<double> s(mask.pixels.size());
  for (size_t i = 0; i < s.size(); ++i) {
    const double depth = inside[i] ? std::sqrt(in[i]) - 0.5 : 0.5 - std::sqrt(out[i]);  // the boundary lies between
    s[i] = o.edge_px > 0 ? std::clamp(0.5 + depth / (o.edge_px * scale), 0.0, 1.0) : inside[i];
  }
  if (kept.empty()) return s;
  const std::vector<double> away = squared_distance_transform(kept, H, W);
  for (size_t i = 0; i < s.size(); ++i)
    s[i] *= kept[i] ? 0 : o.protected_px > 0 ? std::min(1.0, std::sqrt(away[i]) / (o.protected_px * scale)) : 1;
  return s;
}

}  // namespace

IntensityHistogram::IntensityHistogram(std::vector<float> values) : sorted_(std::move(values)) {
  std::sort(sorted_.begin(), sorted_.end());
  const auto n = static_cast<double>(std::max<size_t>(sorted_.size(), 1));
  for (const float v : sorted_) mean_ += v / n;
  for (const float v : sorted_) std_ += (v - mean_) * (v - mean_) / n;
  std_ = std::sqrt(std_);
}

float IntensityHistogram::quantile(double u) const {
  internal_check(!empty() && u >= 0 && u <= 1, "intensity: quantile {} of {} values", u, sorted_.size());
  const double at =
      std::clamp(u * static_cast<double>(sorted_.size()) - 0.5, 0.0, static_cast<double>(sorted_.size() - 1));
  const auto i = static_cast<size_t>(at);
  const float a = sorted_[i], b = sorted_[std::min(i + 1, sorted_.size() - 1)];
  return a + static_cast<float>(at - static_cast<double>(i)) * (b - a);
}

double IntensityHistogram::cdf(float value) const {
  internal_check(!empty(), "intensity: the rank in an empty histogram");
  const auto [low, high] = std::equal_range(sorted_.begin(), sorted_.end(), value);
  return static_cast<double>((low - sorted_.begin()) + (high - sorted_.begin())) /
         (2 * static_cast<double>(sorted_.size()));
}

IntensityHistogram histogram_inside(const Image& image, const Image& mask, const Image& protected_region) {
  std::vector<float> values;
  for (size_t i = 0; i < mask.pixels.size(); ++i)
    if (mask.pixels[i] != 0 && (protected_region.pixels.empty() || protected_region.pixels[i] == 0))
      values.push_back(image.pixels[i]);
  return IntensityHistogram(std::move(values));
}

std::string_view name_of(IntensityMode m) { return mode_names[static_cast<size_t>(m)]; }

IntensityEdit sample(const IntensityOptions& o, Rng rng) {
  IntensityEdit e;
  e.mode = o.mode;
  if (o.mode == IntensityMode::histogram) {
    e.blend = rng.uniform(o.blend_min, o.blend_max);
    return e;
  }
  e.alpha = on_grid(o.alpha_min, o.alpha_max, o.step, rng);
  e.beta = on_grid(o.beta_min, o.beta_max, o.step, rng);
  if (o.mode == IntensityMode::affine) {
    e.gain_mean = centred(e.alpha, o.alpha_min, o.alpha_max, o.affine_mean);
    e.gain_contrast = centred(e.beta, o.beta_min, o.beta_max, o.affine_contrast);
  }
  e.key = rng.fork("uniform").key();
  return e;
}

Image edit_intensity(const Image& image, const Image& mask, const Image& protected_region, const IntensityEdit& e,
                     const IntensityHistogram& region, const IntensityHistogram& donor, const IntensityOptions& o) {
  check(e.mode != IntensityMode::histogram || !donor.empty(),
        "intensity: mode histogram needs the histogram of another image");
  const std::vector<double> share = strength(mask, protected_region, o);
  Image out = image;
  for (size_t i = 0; i < out.pixels.size(); ++i) {
    if (share[i] == 0 || region.empty()) continue;
    const double value = image.pixels[i];
    double next = value;
    switch (e.mode) {
      case IntensityMode::affine:
        next = region.mean() * (1 + e.gain_mean) + (value - region.mean()) * (1 + e.gain_contrast);
        break;
      case IntensityMode::literal:
        next = e.alpha * region.mean() + e.beta * region.std() * (2 * Rng(e.key, 2 * i).uniform() - 1);
        break;
      case IntensityMode::histogram:
        next = value + e.blend * (donor.quantile(region.cdf(image.pixels[i])) - value);
        break;
    }
    out.pixels[i] = static_cast<float>(std::clamp(value + share[i] * (next - value), 0.0, 1.0));
  }
  return out;
}

}  // namespace querent::al
