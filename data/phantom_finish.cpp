// From attenuation to a displayed film: I = exp(-P) + scatter, blurred by the detector, counted in photons, then shown
// bright where little light arrived, through the S-shaped curve of film.
#include <algorithm>
#include <string_view>

#include "data/phantom_project.h"

namespace querent::phantom {

namespace {

std::vector<float> shrink(const std::vector<float>& v, int64_t n, int64_t k) {  // mean of k x k blocks
  const int64_t m = n / k;
  std::vector<float> out(static_cast<size_t>(m * m));
  for (int64_t y = 0; y < m; ++y)
    for (int64_t x = 0; x < m; ++x) {
      double sum = 0;
      for (int64_t j = 0; j < k; ++j)
        for (int64_t i = 0; i < k; ++i) sum += v[static_cast<size_t>((y * k + j) * n + x * k + i)];
      out[static_cast<size_t>(y * m + x)] = static_cast<float>(sum / static_cast<double>(k * k));
    }
  return out;
}

float bilinear(const std::vector<float>& v, int64_t n, double x, double y) {
  x = std::clamp(x - 0.5, 0.0, static_cast<double>(n - 1)), y = std::clamp(y - 0.5, 0.0, static_cast<double>(n - 1));
  const int64_t i = std::min<int64_t>(static_cast<int64_t>(x), n - 2),
                j = std::min<int64_t>(static_cast<int64_t>(y), n - 2);
  const float u = static_cast<float>(x - static_cast<double>(i)), w = static_cast<float>(y - static_cast<double>(j));
  const float* p = &v[static_cast<size_t>(j * n + i)];
  return (p[0] * (1 - u) + p[1] * u) * (1 - w) + (p[n] * (1 - u) + p[n + 1] * u) * w;
}

// The value below which `part` of the picked values lie, from a histogram of 2,048 bins over [low, high).
float quantile(const std::vector<float>& v, float low, float high, double part) {
  std::vector<int64_t> bins(2048, 0);
  int64_t total = 0;
  for (const float q : v)
    if (q >= low && q < high) ++bins[static_cast<size_t>((q - low) / (high - low) * 2048.0f)], ++total;
  int64_t seen = 0;
  for (size_t b = 0; b < bins.size(); ++b)
    if ((seen += bins[b]) >= static_cast<int64_t>(part * static_cast<double>(total)))
      return low + (high - low) * (static_cast<float>(b) + 0.5f) / 2048.0f;
  return high;
}

// 5x7 letters for side markers, one row a byte.
constexpr std::array<std::array<uint8_t, 7>, 4> letters = {{
    {0b11110, 0b10001, 0b10001, 0b11110, 0b10100, 0b10010, 0b10001},  // R
    {0b10000, 0b10000, 0b10000, 0b10000, 0b10000, 0b10000, 0b11111},  // L
    {0b01110, 0b10001, 0b10001, 0b11111, 0b10001, 0b10001, 0b10001},  // A
    {0b11110, 0b10001, 0b10001, 0b11110, 0b10000, 0b10000, 0b10000},  // P
}};

// Draws letters with their upper left corner at (x, y); `cell` pixels per dot.
void stamp(Image& image, std::string_view word, double x, double y, double cell, float level) {
  for (int64_t j = 0; j < image.height; ++j)
    for (int64_t i = 0; i < image.width; ++i) {
      const double u = (static_cast<double>(i) + 0.5 - x) / cell, v = (static_cast<double>(j) + 0.5 - y) / cell;
      if (u < 0 || v < 0 || v >= 7 || u >= 6.0 * static_cast<double>(word.size())) continue;
      const size_t which = std::string_view("RLAP").find(word[static_cast<size_t>(u / 6)]);
      const int column = static_cast<int>(u) % 6;
      if (column < 5 && (letters[which][static_cast<size_t>(v)] >> (4 - column)) & 1)
        image.at(j, i) = std::max(image.at(j, i), level);
    }
}

void mark_film(Image& image, const Shot& s, double spread) {
  Rng rng = Rng(s.key).fork("film");
  const double n = static_cast<double>(image.width);
  if (rng.uniform() < 0.6) {
    const double cell = n * rng.uniform(0.0045, 0.0085), y = n * rng.uniform(0.02, 0.25);
    const float level = static_cast<float>(rng.uniform(0.75, 1.0));
    const bool right = rng.uniform() < 0.6;
    const std::string_view word = s.supine && rng.uniform() < 0.4 ? "AP" : right ? "R" : "L";
    const double x = right ? n * rng.uniform(0.01, 0.08)
                           : n * (1 - rng.uniform(0.02, 0.07)) - 6 * cell * static_cast<double>(word.size());
    stamp(image, word, x, y, cell, level);
  }
  if (rng.uniform() < 0.25) {  // collimator blades
    const float level = rng.uniform() < 0.85 ? 0.0f : 1.0f;
    const double edge[4] = {rng.uniform(-0.06, 0.04), rng.uniform(-0.06, 0.04), rng.uniform(-0.06, 0.04),
                            rng.uniform(-0.06, 0.04)};
    const double slant = rng.uniform(-0.012, 0.012);
    for (int64_t j = 0; j < image.height; ++j)
      for (int64_t i = 0; i < image.width; ++i) {
        const double u = (static_cast<double>(i) + 0.5) / n, v = (static_cast<double>(j) + 0.5) / n;
        const double inside = std::min({u - edge[0] - slant * v, 1 - edge[1] + slant * v - u, v - edge[2] + slant * u,
                                        1 - edge[3] - slant * u - v});
        const double w = std::clamp(inside * spread + 0.5, 0.0, 1.0);
        image.at(j, i) = static_cast<float>(level + w * (image.at(j, i) - level));
      }
  }
}

}  // namespace

void gaussian_blur(std::vector<float>& picture, int64_t n, double sigma) {
  if (sigma < 0.15) return;
  const int64_t half = std::min<int64_t>(n - 1, static_cast<int64_t>(std::ceil(3 * sigma)));
  std::vector<float> weight(static_cast<size_t>(half + 1));
  double sum = 0;
  for (int64_t i = 0; i <= half; ++i)
    sum += (i ? 2 : 1) * std::exp(-0.5 * static_cast<double>(i * i) / (sigma * sigma));
  for (int64_t i = 0; i <= half; ++i)
    weight[static_cast<size_t>(i)] =
        static_cast<float>(std::exp(-0.5 * static_cast<double>(i * i) / (sigma * sigma)) / sum);
  std::vector<float> line(static_cast<size_t>(n + 2 * half)), next(picture.size());
  for (int64_t y = 0; y < n; ++y) {  // along x
    const float* row = &picture[static_cast<size_t>(y * n)];
    for (int64_t i = -half; i < n + half; ++i) {
      const int64_t at = i < 0 ? -i - 1 : i >= n ? 2 * n - 1 - i : i;
      line[static_cast<size_t>(i + half)] = row[at];
    }
    float* to = &next[static_cast<size_t>(y * n)];
    for (int64_t x = 0; x < n; ++x) to[x] = weight[0] * line[static_cast<size_t>(x + half)];
    for (int64_t k = 1; k <= half; ++k) {
      const float w = weight[static_cast<size_t>(k)];
      const float *a = &line[static_cast<size_t>(half - k)], *b = &line[static_cast<size_t>(half + k)];
      for (int64_t x = 0; x < n; ++x) to[x] += w * (a[x] + b[x]);
    }
  }
  for (int64_t y = 0; y < n; ++y) {  // along y
    float* to = &picture[static_cast<size_t>(y * n)];
    const float* mid = &next[static_cast<size_t>(y * n)];
    for (int64_t x = 0; x < n; ++x) to[x] = weight[0] * mid[x];
    for (int64_t k = 1; k <= half; ++k) {
      const int64_t up = y - k < 0 ? k - y - 1 : y - k, down = y + k >= n ? 2 * n - 1 - y - k : y + k;
      const float w = weight[static_cast<size_t>(k)];
      const float *a = &next[static_cast<size_t>(up * n)], *b = &next[static_cast<size_t>(down * n)];
      for (int64_t x = 0; x < n; ++x) to[x] += w * (a[x] + b[x]);
    }
  }
}

Image finish_film(const std::vector<float>& attenuation, const Shot& s, const View& view, int64_t size) {
  const int64_t n = view.n, k = n / size, coarse = n / 8;
  std::vector<float> light(attenuation.size()), source(attenuation.size());
  for (size_t i = 0; i < light.size(); ++i) {
    light[i] = std::exp(-attenuation[i]);
    source[i] = light[i] * std::min(1.0f, attenuation[i] / 1.5f);  // only the patient scatters
  }
  std::vector<float> glare = shrink(source, n, 8);
  gaussian_blur(glare, coarse, 2.6 / (view.pixel * 8));
  const float much = static_cast<float>(0.30 * s.glare);
  for (int64_t y = 0; y < n; ++y)
    for (int64_t x = 0; x < n; ++x)
      light[static_cast<size_t>(y * n + x)] +=
          much * bilinear(glare, coarse, (static_cast<double>(x) + 0.5) / 8, (static_cast<double>(y) + 0.5) / 8);
  gaussian_blur(light, n, std::max(s.blur / view.pixel, 0.45 * static_cast<double>(k)));
  std::vector<float> film = shrink(light, n, k);

  // Photon counts: Gaussian of the Poisson variance. One Philox block a pixel gives one normal number.
  const double quanta = 9e5 * s.fov * s.fov / static_cast<double>(size * size) / s.noise;
  const PhiloxKey key{static_cast<uint32_t>(s.key), static_cast<uint32_t>(s.key >> 32)};
  for (size_t i = 0; i < film.size(); ++i) {
    const PhiloxCounter r = philox({static_cast<uint32_t>(i), 0, 0x6E6F6973u, 0}, key);
    const float normal = std::sqrt(-2.0f * std::log(1.0f - unit_float(r[0]))) * std::cos(6.2831853f * unit_float(r[1]));
    const float count = std::max(4.0f, static_cast<float>(quanta) * film[i]);
    const float noisy = std::max(1.0f, count + std::sqrt(count) * normal);
    film[i] = -std::log(noisy / static_cast<float>(quanta));
  }

  // Display window from the picture itself, as a radiographer sets it, with some disagreement.
  const float low = quantile(film, 0.5f, 9.0f, 0.03), high = quantile(film, 0.5f, 9.0f, 0.97);
  const float base = low - static_cast<float>(0.10 + 0.05 * s.exposure) * (high - low);
  const float range = (high - low) * 1.42f / static_cast<float>(s.contrast);
  for (float& v : film) v = (v - base) / range;
  // Compression of the dynamic range, as digital systems do: part of the broad background is taken away.
  std::vector<float> broad = film;
  for (float& v : broad) v = std::clamp(v, 0.0f, 1.2f);
  broad = shrink(broad, size, 8);
  gaussian_blur(broad, size / 8, 3.2 / (view.pixel * static_cast<double>(8 * k)));
  for (int64_t y = 0; y < size; ++y)
    for (int64_t x = 0; x < size; ++x) {
      float& v = film[static_cast<size_t>(y * size + x)];
      const float back =
          bilinear(broad, size / 8, (static_cast<double>(x) + 0.5) / 8, (static_cast<double>(y) + 0.5) / 8);
      v -= static_cast<float>(s.compress) * (back - 0.55f) * std::clamp(4 * v, 0.0f, 1.0f);
    }
  if (s.sharpen > 0.02) {
    std::vector<float> soft = film;
    for (float& v : soft) v = std::clamp(v, -0.2f, 1.3f);
    gaussian_blur(soft, size, 1.3 / (view.pixel * static_cast<double>(k)));
    for (size_t i = 0; i < film.size(); ++i)
      if (film[i] > -0.2f) film[i] += static_cast<float>(0.7 * s.sharpen) * (film[i] - soft[i]);
  }
  Image out(size, size);
  for (size_t i = 0; i < film.size(); ++i) {
    const float v = std::clamp(film[i], 0.0f, 1.25f);
    const float curve = v < 1e-6f ? 0.0f : std::pow(v, static_cast<float>(s.gamma));
    out.pixels[i] =
        std::clamp(1.03f * (1 - std::exp(-1.9f * curve * (0.55f + 0.45f * curve))) / (1 - std::exp(-1.9f)), 0.0f, 1.0f);
  }
  mark_film(out, s, static_cast<double>(size) / 1.5);
  return out;
}

}  // namespace querent::phantom
