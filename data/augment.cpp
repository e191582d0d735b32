// One inverse warp for image and mask: new pixel (x, y) takes its value at
//   source = centre + flip( R(-angle) (p - centre - shift) / zoom ) + e(p)
// with the elastic field e a uniform cubic B-spline over normal control points, as in the U-Net paper (Ronneberger,
// Fischer, Brox 2015, section 3.1) but with the distance of the control points given.
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "data/transform.h"
#include "tensor/error.h"

namespace querent::data {
namespace {

constexpr double pi = 3.14159265358979323846;

// Weights of the four control points round a position t in [0,1) between the middle two.
std::array<double, 4> spline(double t) {
  const double s = 1 - t;
  return {s * s * s / 6, (3 * t * t * t - 6 * t * t + 4) / 6, (3 * s * s * s - 6 * s * s + 4) / 6, t * t * t / 6};
}

class ElasticField {
 public:
  ElasticField(const AugmentParams& p, int64_t height, int64_t width) {
    const double side = static_cast<double>(std::max(height, width));
    spacing_ = std::max(p.elastic_sigma * side, 1.0);
    columns_ = static_cast<int64_t>(static_cast<double>(width) / spacing_) + 4;
    const int64_t rows = static_cast<int64_t>(static_cast<double>(height) / spacing_) + 4;
    Rng rng = Rng(p.key).fork("elastic");
    points_.resize(static_cast<size_t>(2 * columns_ * rows));
    for (double& v : points_) v = rng.normal() * p.elastic_alpha * side;
  }
  std::array<double, 2> at(double y, double x) const {
    const double u = x / spacing_, v = y / spacing_;
    const auto iu = static_cast<int64_t>(u), iv = static_cast<int64_t>(v);
    const std::array<double, 4> wu = spline(u - static_cast<double>(iu)), wv = spline(v - static_cast<double>(iv));
    std::array<double, 2> e = {0, 0};
    for (size_t j = 0; j < 4; ++j) {
      for (size_t i = 0; i < 4; ++i) {
        const size_t at =
            2 * ((static_cast<size_t>(iv) + j) * static_cast<size_t>(columns_) + static_cast<size_t>(iu) + i);
        e[0] += wv[j] * wu[i] * points_[at];
        e[1] += wv[j] * wu[i] * points_[at + 1];
      }
    }
    return e;
  }

 private:
  double spacing_ = 1;
  int64_t columns_ = 0;
  std::vector<double> points_;
};

float value(const Image& image, int64_t y, int64_t x, int64_t c) {
  return y < 0 || x < 0 || y >= image.height || x >= image.width ? 0.0f : image.at(y, x, c);
}

void warp(Image& image, Image* mask, const AugmentParams& p) {
  const Image from = image, from_mask = mask ? *mask : Image();
  const double cy = static_cast<double>(image.height - 1) / 2, cx = static_cast<double>(image.width - 1) / 2;
  const double side = static_cast<double>(std::max(image.height, image.width));
  const double cosine = std::cos(p.angle) / p.zoom, sine = std::sin(p.angle) / p.zoom;
  const bool bends = p.elastic_alpha > 0;
  const ElasticField field(p, bends ? image.height : 1, bends ? image.width : 1);
  for (int64_t y = 0; y < image.height; ++y) {
    for (int64_t x = 0; x < image.width; ++x) {
      const double px = static_cast<double>(x) - cx - p.dx * side, py = static_cast<double>(y) - cy - p.dy * side;
      double sx = cosine * px - sine * py, sy = sine * px + cosine * py;
      if (p.flip) sx = -sx;
      sx += cx;
      sy += cy;
      if (bends) {
        const std::array<double, 2> e = field.at(static_cast<double>(y), static_cast<double>(x));
        sy += e[0];
        sx += e[1];
      }
      const double fy = std::floor(sy), fx = std::floor(sx);
      const auto iy = static_cast<int64_t>(fy), ix = static_cast<int64_t>(fx);
      const auto wy = static_cast<float>(sy - fy), wx = static_cast<float>(sx - fx);
      for (int64_t c = 0; c < image.channels; ++c) {
        const float top = value(from, iy, ix, c) * (1 - wx) + value(from, iy, ix + 1, c) * wx;
        const float bottom = value(from, iy + 1, ix, c) * (1 - wx) + value(from, iy + 1, ix + 1, c) * wx;
        image.at(y, x, c) = top * (1 - wy) + bottom * wy;
      }
      if (mask) mask->at(y, x) = value(from_mask, iy + (wy >= 0.5f), ix + (wx >= 0.5f), 0);
    }
  }
}

}  // namespace

Augmentation chest_augmentation() {
  Augmentation a;
  a.rotate_deg = 8;
  a.shift = 0.05;
  a.scale = 0.10;
  a.elastic_alpha = 0.01;
  a.gain = 0.10;
  a.offset = 0.05;
  a.noise = 0.01;
  return a;
}

AugmentParams sample(const Augmentation& a, Rng rng) {
  AugmentParams p;  // every number is drawn, used or not: switching one variation on leaves the others as they were
  p.flip = rng.uniform() < a.flip;
  p.angle = rng.uniform(-1, 1) * a.rotate_deg * pi / 180;
  p.dx = rng.uniform(-1, 1) * a.shift;
  p.dy = rng.uniform(-1, 1) * a.shift;
  p.zoom = std::exp(rng.uniform(-1, 1) * std::log1p(a.scale));
  p.gain = rng.uniform(-1, 1) * a.gain;
  p.offset = rng.uniform(-1, 1) * a.offset;
  p.noise = a.noise;
  p.elastic_alpha = a.elastic_alpha;
  p.elastic_sigma = a.elastic_sigma;
  p.key = rng.fork("fields").key();
  return p;
}

void augment(Image& image, Image* mask, const AugmentParams& p) {
  check(!mask || (mask->height == image.height && mask->width == image.width && mask->channels == 1),
        "augment: the mask is {}x{}, the image {}x{}; resize both first", mask ? mask->width : 0,
        mask ? mask->height : 0, image.width, image.height);
  if (p.flip || p.angle != 0 || p.dx != 0 || p.dy != 0 || p.zoom != 1 || p.elastic_alpha > 0) warp(image, mask, p);
  if (p.gain == 0 && p.offset == 0 && p.noise == 0) return;
  const auto gain = static_cast<float>(1 + p.gain), offset = static_cast<float>(p.offset);
  const uint64_t stream = Rng(p.key).fork("noise").key();
  const PhiloxKey key = {static_cast<uint32_t>(stream), static_cast<uint32_t>(stream >> 32)};
  std::array<float, 4> normal{};  // two Box-Muller pairs from each block of four words
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    if (p.noise > 0 && i % 4 == 0) {
      const PhiloxCounter r = philox({static_cast<uint32_t>(i / 4), 0, 0, 0}, key);
      for (size_t k = 0; k < 4; k += 2) {
        const double radius = p.noise * std::sqrt(-2.0 * std::log((r[k] + 0.5) * 0x1p-32));
        const double turn = 2 * pi * (r[k + 1] * 0x1p-32);
        normal[k] = static_cast<float>(radius * std::cos(turn));
        normal[k + 1] = static_cast<float>(radius * std::sin(turn));
      }
    }
    image.pixels[i] = std::clamp(image.pixels[i] * gain + offset + normal[i % 4], 0.0f, 1.0f);
  }
}

}  // namespace querent::data
