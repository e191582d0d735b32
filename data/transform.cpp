#include "data/transform.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "tensor/error.h"

namespace querent::data {
namespace {

// One axis of a resize: new pixel i is the weighted sum of the old pixels first .. first + weights.size() - 1.
struct Tap {
  int64_t first = 0;
  std::vector<double> weights;
};

std::vector<Tap> taps(int64_t from, int64_t to) {
  std::vector<Tap> out(static_cast<size_t>(to));
  const double ratio = static_cast<double>(from) / static_cast<double>(to);
  for (int64_t i = 0; i < to; ++i) {
    Tap& t = out[static_cast<size_t>(i)];
    if (to < from) {  // the part of each old pixel inside [i, i+1) * ratio
      const double begin = static_cast<double>(i) * ratio, end = std::min(begin + ratio, static_cast<double>(from));
      t.first = static_cast<int64_t>(begin);
      for (int64_t k = t.first; k < from && static_cast<double>(k) < end; ++k) {
        const double part = std::min(end, static_cast<double>(k + 1)) - std::max(begin, static_cast<double>(k));
        t.weights.push_back(part / (end - begin));
      }
    } else {
      const double last = static_cast<double>(from - 1);
      const double at = std::clamp((static_cast<double>(i) + 0.5) * ratio - 0.5, 0.0, last);
      t.first = std::min(static_cast<int64_t>(at), from - 1);
      const double part = at - static_cast<double>(t.first);
      t.weights = {1.0 - part};
      if (part > 0) t.weights.push_back(part);
    }
  }
  return out;
}

}  // namespace

Image resize(const Image& image, int64_t height, int64_t width) {
  check(height > 0 && width > 0, "resize: the size {}x{} must be positive", width, height);
  check(image.height > 0 && image.width > 0, "resize: the image is empty");
  if (height == image.height && width == image.width) return image;
  const int64_t channels = image.channels;
  const std::vector<Tap> columns = taps(image.width, width), rows = taps(image.height, height);
  std::vector<double> sums(static_cast<size_t>(width * channels));
  Image narrow(image.height, width, channels), out(height, width, channels);
  for (int64_t y = 0; y < image.height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      const Tap& t = columns[static_cast<size_t>(x)];
      for (int64_t c = 0; c < channels; ++c) {
        double sum = 0;
        const float* from = &image.pixels[static_cast<size_t>((y * image.width + t.first) * channels + c)];
        for (size_t k = 0; k < t.weights.size(); ++k)
          sum += t.weights[k] * static_cast<double>(from[k * static_cast<size_t>(channels)]);
        narrow.at(y, x, c) = static_cast<float>(sum);
      }
    }
  }
  const auto stride = static_cast<size_t>(width * channels);
  for (int64_t y = 0; y < height; ++y) {
    const Tap& t = rows[static_cast<size_t>(y)];
    std::fill(sums.begin(), sums.end(), 0.0);
    for (size_t k = 0; k < t.weights.size(); ++k) {
      const float* from = &narrow.pixels[(static_cast<size_t>(t.first) + k) * stride];
      for (size_t i = 0; i < stride; ++i) sums[i] += t.weights[k] * static_cast<double>(from[i]);
    }
    for (size_t i = 0; i < stride; ++i) out.pixels[static_cast<size_t>(y) * stride + i] = static_cast<float>(sums[i]);
  }
  return out;
}

Image resize_mask(const Image& mask, int64_t height, int64_t width) {
  Image out = resize(mask, height, width);
  for (float& v : out.pixels) v = v >= 0.5f ? 1.0f : 0.0f;
  return out;
}

}  // namespace querent::data
