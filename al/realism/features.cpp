#include "al/realism/features.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "data/transform.h"
#include "tensor/error.h"

namespace querent::al {
namespace {

constexpr int64_t thumbnail = 8, cells = 4, pixel_side = 32;
constexpr std::array<int64_t, 3> scales = {64, 32, 16};
constexpr double faint = 1e-3;  // keeps the logarithm of a flat region finite

void append_texture(const Image& film, std::vector<double>& to) {
  const int64_t side = film.height;
  std::array<double, cells * cells> gradient{};
  double laplacian = 0;
  const auto inner = static_cast<double>((side - 2) * (side - 2));
  const double in_cell = inner / static_cast<double>(gradient.size());
  for (int64_t y = 1; y + 1 < side; ++y)
    for (int64_t x = 1; x + 1 < side; ++x) {
      const auto v = [&](int64_t dy, int64_t dx) { return double{film.at(y + dy, x + dx)}; };
      const auto cell = static_cast<size_t>(y * cells / side * cells + x * cells / side);
      gradient[cell] += std::hypot(v(0, 1) - v(0, -1), v(1, 0) - v(-1, 0)) / 2 / in_cell;
      laplacian += std::abs(v(0, 1) + v(0, -1) + v(1, 0) + v(-1, 0) - 4 * v(0, 0)) / inner;
    }
  for (const double g : gradient) to.push_back(std::log(faint + g));
  to.push_back(std::log(faint + laplacian));
}

struct Moments {
  double mean = 0, sd = 0, skewness = 0, kurtosis = 0;
};
Moments moments(const std::vector<float>& pixels) {
  Moments m;
  const auto n = static_cast<double>(pixels.size());
  for (const float v : pixels) m.mean += double{v} / n;
  double second = 0, third = 0, fourth = 0;
  for (const float v : pixels) {
    const double c = double{v} - m.mean;
    second += c * c / n;
    third += c * c * c / n;
    fourth += c * c * c * c / n;
  }
  m.sd = std::sqrt(second);
  if (second > 1e-12) {
    m.skewness = third / (second * m.sd);
    m.kurtosis = fourth / (second * second);
  }
  return m;
}

void check_film(const Image& film) {
  check(film.channels == 1 && film.height >= 16 && film.width >= 16,
        "features: a film must be grey and at least 16 x 16, got {} x {} with {} channels", film.height, film.width,
        film.channels);
}

}  // namespace

FeatureMatrix network_features(const Model& model, const data::Loader& loader, std::span<const int64_t> cases) {
  FeatureMatrix out;
  if (cases.empty()) return out;
  const Tensor rows = model.embed(model.trunk(loader.batch(cases).x.to(model.device), Pass{}));
  for (size_t i = 0; i < cases.size(); ++i) out.append(rows.batch(static_cast<int64_t>(i), 1).host_f64());
  return out;
}

std::vector<double> plain_features(const Image& film) {
  check_film(film);
  std::vector<double> f;
  for (const float v : data::resize(film, thumbnail, thumbnail).pixels) f.push_back(double{v});
  for (const int64_t side : scales) append_texture(data::resize(film, side, side), f);
  const Moments m = moments(film.pixels);
  f.insert(f.end(), {m.mean, m.sd, m.skewness, m.kurtosis});
  return f;
}

std::vector<double> pixel_features(const Image& film) {
  check_film(film);
  const Image small = data::resize(film, pixel_side, pixel_side);
  const Moments m = moments(small.pixels);
  std::vector<double> f;
  for (const float v : small.pixels) f.push_back(m.sd > 1e-6 ? (double{v} - m.mean) / m.sd : 0.0);
  return f;
}

}  // namespace querent::al
