#include "al/inpainting.h"

#include <algorithm>
#include <cmath>

#include "tensor/error.h"

namespace querent::al {
namespace {

template <class F>
void each_pixel(const Hole& h, const F& f) {
  for (int64_t y = h.first; y < h.first + h.side; ++y)
    for (int64_t x = h.first; x < h.first + h.side; ++x) f(y, x);
}
bool inside(const Hole& h, int64_t y, int64_t x) {
  return y >= h.first && y < h.first + h.side && x >= h.first && x < h.first + h.side;
}

}  // namespace

Hole hole_of(int64_t size, int64_t overlap) {
  const Hole h{size / 4, size / 2, size / 4 + overlap, size / 2 - 2 * overlap};
  check(overlap >= 0 && h.side > 0, "inpainting: an overlap of {} pixels leaves no hole in films of {}; use less",
        overlap, size);
  return h;
}

Image with_hole(const Image& film, const Hole& hole, float fill) {
  Image out = film;
  each_pixel(hole, [&](int64_t y, int64_t x) { out.at(y, x) = fill; });
  return out;
}

Image filled_from(const Image& film, const Image& other, const Hole& hole) {
  Image out = film;
  each_pixel(hole, [&](int64_t y, int64_t x) { out.at(y, x) = other.at(y, x); });
  return out;
}

Image filled_from_border(const Image& film, const Hole& h) {
  double border = 0;
  for (int64_t k = h.first; k < h.first + h.side; ++k)
    for (const int64_t edge : {h.first - 1, h.first + h.side})
      border += static_cast<double>(film.at(edge, k) + film.at(k, edge));
  Image out = with_hole(film, h, static_cast<float>(border / static_cast<double>(4 * h.side)));
  // Successive over-relaxation at the rate that is best for a square; its error falls by exp(-2 pi / side) a sweep.
  const double rate = 2 / (1 + std::sin(3.14159265358979 / static_cast<double>(h.side + 1)));
  for (int64_t sweep = 0; sweep < 2 * h.side + 10; ++sweep)
    each_pixel(h, [&](int64_t y, int64_t x) {
      const double mean =
          static_cast<double>(out.at(y - 1, x) + out.at(y + 1, x) + out.at(y, x - 1) + out.at(y, x + 1)) / 4;
      out.at(y, x) += static_cast<float>(rate * (mean - static_cast<double>(out.at(y, x))));
    });
  return out;
}

double outside_difference(const Image& a, const Image& b, const Hole& hole) {
  double sum = 0;
  for (int64_t y = 0; y < a.height; ++y)
    for (int64_t x = 0; x < a.width; ++x) {
      const double d = static_cast<double>(a.at(y, x) - b.at(y, x));
      if (!inside(hole, y, x)) sum += d * d;
    }
  return sum / static_cast<double>(a.height * a.width - hole.side * hole.side);
}

double FillError::psnr() const { return std::min(100.0, -10 * std::log10(l2)); }

FillError fill_error(const Image& filled, const Image& film, const Hole& hole) {
  FillError e;
  const auto n = static_cast<double>(hole.side * hole.side);
  each_pixel(hole, [&](int64_t y, int64_t x) {
    const double d = static_cast<double>(filled.at(y, x) - film.at(y, x));
    e.l1 += std::abs(d) / n;
    e.l2 += d * d / n;
  });
  return e;
}

}  // namespace querent::al
