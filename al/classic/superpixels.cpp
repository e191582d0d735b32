#include "al/classic/superpixels.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>

#include "tensor/error.h"

namespace querent::al {
namespace {

constexpr double grey_scale = 100;  // of compactness: L of Lab goes to 100

struct Centre {
  double y = 0, x = 0;
  std::vector<double> colour;
};

double gradient(const Image& image, int64_t y, int64_t x) {
  double sum = 0;
  for (int64_t c = 0; c < image.channels; ++c) {
    const double dx = image.at(y, x + 1, c) - image.at(y, x - 1, c), dy = image.at(y + 1, x, c) - image.at(y - 1, x, c);
    sum += dx * dx + dy * dy;
  }
  return sum;
}

// The middles of a grid of cells, each moved to the flattest of the 3 x 3 pixels round it, away from edges and noise.
std::vector<Centre> seeds(const Image& image, double step) {
  const auto along = [&](int64_t length) {
    return std::max<int64_t>(1, std::llround(static_cast<double>(length) / step));
  };
  const int64_t rows = along(image.height), columns = along(image.width);
  std::vector<Centre> centres;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < columns; ++j) {
      const int64_t y = (2 * i + 1) * image.height / (2 * rows), x = (2 * j + 1) * image.width / (2 * columns);
      int64_t best_y = y, best_x = x;
      double flattest = std::numeric_limits<double>::infinity();
      for (int64_t v = std::max<int64_t>(1, y - 1); v <= std::min(y + 1, image.height - 2); ++v)
        for (int64_t u = std::max<int64_t>(1, x - 1); u <= std::min(x + 1, image.width - 2); ++u)
          if (const double g = gradient(image, v, u); g < flattest) flattest = g, best_y = v, best_x = u;
      Centre c{static_cast<double>(best_y), static_cast<double>(best_x), {}};
      for (int64_t k = 0; k < image.channels; ++k) c.colour.push_back(image.at(best_y, best_x, k));
      centres.push_back(std::move(c));
    }
  return centres;
}

void assign(const Image& image, const std::vector<Centre>& centres, double step, double compactness,
            std::vector<int32_t>& label) {
  std::vector<double> nearest(label.size(), std::numeric_limits<double>::infinity());
  std::fill(label.begin(), label.end(), -1);
  const double closeness = compactness * compactness / (step * step);
  for (size_t k = 0; k < centres.size(); ++k) {
    const Centre& c = centres[k];
    const auto from = [&](double at) { return std::max<int64_t>(0, static_cast<int64_t>(std::ceil(at - step))); };
    const auto to = [&](double at, int64_t length) {
      return std::min(length - 1, static_cast<int64_t>(std::floor(at + step)));
    };
    for (int64_t y = from(c.y); y <= to(c.y, image.height); ++y)
      for (int64_t x = from(c.x); x <= to(c.x, image.width); ++x) {
        const double dy = static_cast<double>(y) - c.y, dx = static_cast<double>(x) - c.x;
        double d = closeness * (dy * dy + dx * dx);
        for (int64_t i = 0; i < image.channels; ++i) {
          const double difference = grey_scale * (image.at(y, x, i) - c.colour[static_cast<size_t>(i)]);
          d += difference * difference;
        }
        const auto at = static_cast<size_t>(y * image.width + x);
        if (d < nearest[at]) nearest[at] = d, label[at] = static_cast<int32_t>(k);
      }
  }
}

// Each centre to the mean of its pixels; one without pixels stays.
void update(const Image& image, const std::vector<int32_t>& label, std::vector<Centre>& centres) {
  std::vector<Centre> sum(centres.size(), {0, 0, std::vector<double>(static_cast<size_t>(image.channels), 0.0)});
  std::vector<double> pixels(centres.size(), 0);
  for (int64_t y = 0; y < image.height; ++y)
    for (int64_t x = 0; x < image.width; ++x) {
      const int32_t k = label[static_cast<size_t>(y * image.width + x)];
      if (k < 0) continue;
      Centre& s = sum[static_cast<size_t>(k)];
      s.y += static_cast<double>(y), s.x += static_cast<double>(x), ++pixels[static_cast<size_t>(k)];
      for (int64_t c = 0; c < image.channels; ++c) s.colour[static_cast<size_t>(c)] += image.at(y, x, c);
    }
  for (size_t k = 0; k < centres.size(); ++k) {
    if (pixels[k] == 0) continue;
    centres[k] = {sum[k].y / pixels[k], sum[k].x / pixels[k], sum[k].colour};
    for (double& v : centres[k].colour) v /= pixels[k];
  }
}

}  // namespace

Superpixels slic(const Image& image, const SlicOptions& o) {
  const int64_t pixels = image.height * image.width;
  check(o.count >= 1 && o.count <= pixels, "superpixels: between 1 and {} of a picture of {}x{}, got {}", pixels,
        image.height, image.width, o.count);
  check(o.compactness > 0 && o.iterations >= 1, "superpixels: compactness {} and {} iterations must be above 0",
        o.compactness, o.iterations);
  const double step = std::sqrt(static_cast<double>(pixels) / static_cast<double>(o.count));
  std::vector<Centre> centres = seeds(image, step);
  std::vector<int32_t> label(static_cast<size_t>(pixels));
  for (int64_t i = 0; i < o.iterations; ++i) {
    assign(image, centres, step, o.compactness, label);
    update(image, label, centres);
  }
  return connected(label, image.height, image.width, static_cast<int64_t>(step * step / 4));
}

Superpixels connected(std::span<const int32_t> label, int64_t height, int64_t width, int64_t smallest) {
  internal_check(static_cast<int64_t>(label.size()) == height * width, "superpixels: {} labels are not {}x{}",
                 label.size(), height, width);
  Superpixels s{height, width, 0, std::vector<int32_t>(label.size(), -1)};
  std::vector<int64_t> piece;
  for (int64_t start = 0; start < height * width; ++start) {
    if (s.label[static_cast<size_t>(start)] >= 0) continue;
    const int64_t before =
        start % width > 0 ? start - 1 : start - width;  // belongs to a region by now, if there is one
    const int32_t old = label[static_cast<size_t>(start)], fresh = static_cast<int32_t>(s.count);
    piece = {start};
    s.label[static_cast<size_t>(start)] = fresh;
    for (size_t i = 0; i < piece.size(); ++i) {
      const int64_t y = piece[i] / width, x = piece[i] % width;
      for (const auto& [v, u] : {std::pair{y - 1, x}, {y, x - 1}, {y, x + 1}, {y + 1, x}}) {
        if (v < 0 || u < 0 || v >= height || u >= width) continue;
        const auto at = static_cast<size_t>(v * width + u);
        if (s.label[at] >= 0 || label[at] != old) continue;
        s.label[at] = fresh;
        piece.push_back(v * width + u);
      }
    }
    const bool joins = before >= 0 && (old < 0 || static_cast<int64_t>(piece.size()) < smallest);
    if (!joins)
      ++s.count;
    else
      for (const int64_t i : piece) s.label[static_cast<size_t>(i)] = s.label[static_cast<size_t>(before)];
  }
  return s;
}

std::vector<Border> borders(const Superpixels& s) {
  std::map<std::pair<int64_t, int64_t>, int64_t> length;
  const auto meet = [&](int64_t i, int64_t j) {
    const auto [a, b] = std::minmax(s.label[static_cast<size_t>(i)], s.label[static_cast<size_t>(j)]);
    if (a != b) ++length[{a, b}];
  };
  for (int64_t i = 0; i < s.height * s.width; ++i) {
    if (i % s.width + 1 < s.width) meet(i, i + 1);
    if (i + s.width < s.height * s.width) meet(i, i + s.width);
  }
  std::vector<Border> found;
  for (const auto& [pair, n] : length) found.push_back({pair.first, pair.second, n});
  return found;
}

std::vector<uint8_t> majority(const Superpixels& s, std::span<const uint8_t> mask) {
  internal_check(mask.size() == s.label.size(), "superpixels: a mask of {} pixels for {}x{}", mask.size(), s.height,
                 s.width);
  std::vector<int64_t> balance(static_cast<size_t>(s.count), 0);
  for (size_t i = 0; i < mask.size(); ++i) balance[static_cast<size_t>(s.label[i])] += mask[i] ? 1 : -1;
  std::vector<uint8_t> labels;
  for (const int64_t b : balance) labels.push_back(b > 0);
  return labels;
}

std::vector<uint8_t> paint(const Superpixels& s, std::span<const uint8_t> labels) {
  internal_check(static_cast<int64_t>(labels.size()) == s.count, "superpixels: {} labels for {} superpixels",
                 labels.size(), s.count);
  std::vector<uint8_t> mask;
  for (const int32_t k : s.label) mask.push_back(labels[static_cast<size_t>(k)]);
  return mask;
}

}  // namespace querent::al
