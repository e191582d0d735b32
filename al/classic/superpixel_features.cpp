#include "al/classic/superpixel_features.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "data/phantom_project.h"
#include "tensor/error.h"

namespace querent::al {
namespace {

constexpr size_t own_count = 8, directions = 8, orientations = 8;
constexpr std::array reaches = {0.125, 0.25};  // of the side

struct Pixels {  // of one superpixel
  std::vector<double> intensity, gx, gy, curvature;
  double x = 0, y = 0;  // sums
};

// Intensity of the whole film with mean 0 and standard deviation 1.
std::vector<float> normalised(const Image& film) {
  const std::vector<double> values(film.pixels.begin(), film.pixels.end());
  const Moments m = moments(values);
  std::vector<float> z;
  for (const double v : values) z.push_back(static_cast<float>(m.sd > 0 ? (v - m.mean) / m.sd : 0));
  return z;
}

std::vector<Pixels> gather(const Image& film, const Superpixels& s) {
  const int64_t n = film.height;
  const std::vector<float> z = normalised(film);
  std::vector<float> smooth = z;
  phantom::gaussian_blur(smooth, n, 1);
  const auto at = [&](int64_t y, int64_t x) {
    return double{smooth[static_cast<size_t>(std::clamp<int64_t>(y, 0, n - 1) * n + std::clamp<int64_t>(x, 0, n - 1))]};
  };
  std::vector<Pixels> all(static_cast<size_t>(s.count));
  for (int64_t y = 0; y < n; ++y)
    for (int64_t x = 0; x < n; ++x) {
      Pixels& p = all[static_cast<size_t>(s.label[static_cast<size_t>(y * n + x)])];
      const double ix = (at(y, x + 1) - at(y, x - 1)) / 2, iy = (at(y + 1, x) - at(y - 1, x)) / 2;
      const double ixx = at(y, x + 1) - 2 * at(y, x) + at(y, x - 1), iyy = at(y + 1, x) - 2 * at(y, x) + at(y - 1, x);
      const double ixy = (at(y + 1, x + 1) - at(y + 1, x - 1) - at(y - 1, x + 1) + at(y - 1, x - 1)) / 4;
      p.intensity.push_back(double{z[static_cast<size_t>(y * n + x)]});
      p.gx.push_back(ix), p.gy.push_back(iy), p.curvature.push_back(curvature(ix, iy, ixx, ixy, iyy));
      p.x += static_cast<double>(x), p.y += static_cast<double>(y);
    }
  return all;
}

std::array<double, own_count> own_features(const Pixels& p) {
  const Moments m = moments(p.intensity);
  const Texture t = texture(p.gx, p.gy);
  double bend = 0;
  for (const double k : p.curvature) bend += std::abs(k);
  return {m.mean,
          m.sd,
          m.skewness,
          m.kurtosis,
          std::log(t.energy + 1e-6),
          t.entropy,
          bend / static_cast<double>(p.curvature.size()),
          asymmetry(p.curvature)};
}

}  // namespace

const std::vector<std::string>& superpixel_feature_names() {
  static const std::vector<std::string> names = [] {
    const std::array<std::string, own_count> own = {
        "mean", "sd", "skewness", "kurtosis", "texture energy", "texture entropy", "curvature", "curvature asymmetry"};
    std::vector<std::string> all(own.begin(), own.end());
    all.insert(all.end(), {"x", "y"});
    for (const std::string& name : own) all.push_back(name + " around");
    for (const double r : reaches)
      for (size_t d = 0; d < directions; ++d) all.push_back(text("mean {} of the side away at {} degrees", r, 45 * d));
    return all;
  }();
  return names;
}

FeatureMatrix superpixel_features(const Image& film, const Superpixels& s) {
  check(film.height == film.width && film.channels == 1, "superpixels: features are of square grey films, got {}x{}x{}",
        film.height, film.width, film.channels);
  const std::vector<Pixels> all = gather(film, s);
  const auto side = static_cast<double>(film.width);
  std::vector<std::array<double, own_count>> own;
  for (const Pixels& p : all) own.push_back(own_features(p));
  std::vector<std::array<double, own_count>> around(all.size(), std::array<double, own_count>{});
  std::vector<double> touching(all.size(), 0);
  for (const Border& b : borders(s))
    for (const auto& [i, j] : {std::pair{b.first, b.second}, {b.second, b.first}}) {
      ++touching[static_cast<size_t>(i)];
      for (size_t k = 0; k < own_count; ++k) around[static_cast<size_t>(i)][k] += own[static_cast<size_t>(j)][k];
    }
  FeatureMatrix features;
  for (size_t i = 0; i < all.size(); ++i) {
    const auto pixels = static_cast<double>(all[i].intensity.size());
    const double x = all[i].x / pixels, y = all[i].y / pixels;
    std::vector<double> row(own[i].begin(), own[i].end());
    row.insert(row.end(), {(x + 0.5) / side, (y + 0.5) / side});
    for (size_t k = 0; k < own_count; ++k) row.push_back(touching[i] > 0 ? around[i][k] / touching[i] : own[i][k]);
    for (const double r : reaches)
      for (size_t d = 0; d < directions; ++d) {
        const double angle = std::numbers::pi / 4 * static_cast<double>(d);
        const auto inside = [&](double v) { return std::clamp<int64_t>(std::llround(v), 0, film.width - 1); };
        const int64_t v = inside(y - r * side * std::sin(angle)), u = inside(x + r * side * std::cos(angle));
        row.push_back(own[static_cast<size_t>(s.label[static_cast<size_t>(v * film.width + u)])][0]);
      }
    features.append(row);
  }
  return features;
}

Moments moments(std::span<const double> values) {
  const auto n = static_cast<double>(values.size());
  Moments m;
  double m2 = 0, m3 = 0, m4 = 0;
  for (const double v : values) m.mean += v / n;
  for (const double v : values) {
    const double d = v - m.mean;
    m2 += d * d / n, m3 += d * d * d / n, m4 += d * d * d * d / n;
  }
  m.sd = std::sqrt(m2);
  if (m2 > 1e-12) m.skewness = m3 / (m2 * m.sd), m.kurtosis = m4 / (m2 * m2) - 3;
  return m;
}

Texture texture(std::span<const double> gx, std::span<const double> gy) {
  std::array<double, orientations> energy{};
  for (size_t k = 0; k < orientations; ++k) {
    const double angle = std::numbers::pi * static_cast<double>(k) / orientations;
    const double ux = std::cos(angle), uy = std::sin(angle);
    for (size_t i = 0; i < gx.size(); ++i) {
      const double along = gx[i] * ux + gy[i] * uy;
      energy[k] += along * along / static_cast<double>(gx.size());
    }
  }
  Texture t;
  for (const double e : energy) t.energy += e;
  if (t.energy <= 0) return t;
  t.entropy = 0;
  for (const double e : energy)
    if (e > 0) t.entropy -= e / t.energy * std::log(e / t.energy) / std::log(double{orientations});
  return t;
}

double curvature(double ix, double iy, double ixx, double ixy, double iyy) {
  const double g2 = ix * ix + iy * iy;
  if (g2 < 1e-12) return 0;
  return std::clamp((ixx * iy * iy - 2 * ix * iy * ixy + iyy * ix * ix) / (g2 * std::sqrt(g2)), -1.0, 1.0);
}

double asymmetry(std::span<const double> curvatures) {
  double sum = 0, size = 0;
  for (const double k : curvatures) sum += k, size += std::abs(k);
  return size > 0 ? sum / size : 0;
}

}  // namespace querent::al
