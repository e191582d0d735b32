#include "al/scr2006/features.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "tensor/error.h"

namespace querent::al {
namespace {

using Weights = std::vector<float>;  // of offsets -r .. r

// Sampled Gaussian and its derivatives, scaled so that each is exact for the polynomial of its order:
// 1 -> 1, x -> 1, x^2 / 2 -> 1, and the derivatives of lower polynomials are 0.
std::array<Weights, 3> gaussian_weights(double sigma) {
  const auto r = static_cast<int64_t>(std::ceil(4 * sigma));
  std::vector<double> g;
  double sum = 0, second = 0, fourth = 0;
  for (int64_t k = -r; k <= r; ++k) g.push_back(std::exp(-static_cast<double>(k * k) / (2 * sigma * sigma)));
  for (const double v : g) sum += v;
  for (int64_t k = -r; k <= r; ++k) {
    double& v = g[static_cast<size_t>(k + r)];
    v /= sum;
    second += v * static_cast<double>(k * k);
    fourth += v * static_cast<double>(k * k * k * k);
  }
  std::array<Weights, 3> w;
  for (int64_t k = -r; k <= r; ++k) {
    const double v = g[static_cast<size_t>(k + r)], square = static_cast<double>(k * k);
    w[0].push_back(static_cast<float>(v));
    w[1].push_back(static_cast<float>(v * static_cast<double>(k) / second));
    w[2].push_back(static_cast<float>(v * (square - second) * 2 / (fourth - second * second)));
  }
  return w;
}

// out(y,x) = sum_k w(k) in(y, x + k), or in(y + k, x).
void along_rows(const Image& in, const Weights& w, Image& out) {
  const auto r = static_cast<int64_t>(w.size() / 2), W = in.width;
  std::vector<float> padded(static_cast<size_t>(W + 2 * r));
  for (int64_t y = 0; y < in.height; ++y) {
    for (int64_t x = -r; x < W + r; ++x)
      padded[static_cast<size_t>(x + r)] = in.at(y, std::clamp<int64_t>(x, 0, W - 1));
    float* to = &out.at(y, 0);
    std::fill_n(to, W, 0.0f);
    for (size_t k = 0; k < w.size(); ++k)
      for (int64_t x = 0; x < W; ++x) to[x] += w[k] * padded[static_cast<size_t>(x) + k];
  }
}
void along_columns(const Image& in, const Weights& w, Image& out) {
  const auto r = static_cast<int64_t>(w.size() / 2), W = in.width;
  for (int64_t y = 0; y < in.height; ++y) {
    float* to = &out.at(y, 0);
    std::fill_n(to, W, 0.0f);
    for (size_t k = 0; k < w.size(); ++k) {
      const float* from = in.pixels.data() + std::clamp<int64_t>(y + static_cast<int64_t>(k) - r, 0, in.height - 1) * W;
      for (int64_t x = 0; x < W; ++x) to[x] += w[k] * from[x];
    }
  }
}

Image standardised(const Image& film) {
  double sum = 0, squares = 0;
  for (const float v : film.pixels)
    sum += static_cast<double>(v), squares += static_cast<double>(v) * static_cast<double>(v);
  const auto n = static_cast<double>(film.pixels.size());
  const double mean = sum / n, sd = std::max(std::sqrt(std::max(squares / n - mean * mean, 0.0)), 1e-6);
  Image out = film;
  for (float& v : out.pixels) v = static_cast<float>((static_cast<double>(v) - mean) / sd);
  return out;
}

}  // namespace

std::vector<double> feature_scales(int64_t size) {
  std::vector<double> scales;
  for (const double s : {1.0, 2.0, 4.0, 8.0, 16.0})
    if (const double here = s * static_cast<double>(size) / 256; here >= 0.75) scales.push_back(here);
  if (scales.empty()) scales.push_back(1);
  return scales;
}
int64_t feature_count(std::span<const double> scales) { return 3 + 6 * static_cast<int64_t>(scales.size()); }

std::vector<float> pixel_features(const Image& film, std::span<const double> scales) {
  check(film.channels == 1 && film.height > 1 && film.width > 1, "features: a film of {}x{}x{} is not grey",
        film.height, film.width, film.channels);
  const Image grey = standardised(film);
  const int64_t H = film.height, W = film.width;
  const auto D = static_cast<size_t>(feature_count(scales));
  std::vector<float> all(static_cast<size_t>(H * W) * D);
  const auto put = [&](size_t feature, const Image& from) {
    for (size_t i = 0; i < from.pixels.size(); ++i) all[i * D + feature] = from.pixels[i];
  };
  for (int64_t i = 0; i < H * W; ++i) {
    all[static_cast<size_t>(i) * D] = static_cast<float>(i % W) / static_cast<float>(W - 1);
    all[static_cast<size_t>(i) * D + 1] = static_cast<float>(i / W) / static_cast<float>(H - 1);
  }
  put(2, grey);
  Image row(H, W), both(H, W);
  for (size_t s = 0; s < scales.size(); ++s) {
    const std::array<Weights, 3> w = gaussian_weights(scales[s]);
    constexpr std::array<std::array<size_t, 3>, 6> orders = {
        // along x, along y, place
        {{0, 0, 0}, {0, 1, 2}, {0, 2, 5}, {1, 0, 1}, {1, 1, 4}, {2, 0, 3}}};
    for (size_t k = 0; k < orders.size(); ++k) {
      const auto [x, y, place] = orders[k];
      if (k == 0 || x != orders[k - 1][0]) along_rows(grey, w[x], row);
      along_columns(row, w[y], both);
      put(3 + 6 * s + place, both);
    }
  }
  return all;
}

Image blur(const Image& film, double sigma) {
  const Weights w = gaussian_weights(sigma)[0];
  Image row(film.height, film.width), both(film.height, film.width);
  along_rows(film, w, row);
  along_columns(row, w, both);
  return both;
}

}  // namespace querent::al
