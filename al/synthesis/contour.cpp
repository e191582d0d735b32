#include "al/synthesis/contour.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "tensor/error.h"

namespace querent::al {
namespace {

constexpr std::array<int64_t, 4> step_x = {1, 0, -1, 0}, step_y = {0, 1, 0, -1};  // right, down, left, up

double cross(const Vec2& o, const Vec2& a, const Vec2& b) {
  return (a.x - o.x) * (b.y - o.y) - (a.y - o.y) * (b.x - o.x);
}

bool sides_cross(const Vec2& a, const Vec2& b, const Vec2& c, const Vec2& d) {
  if (std::max(a.x, b.x) < std::min(c.x, d.x) || std::max(c.x, d.x) < std::min(a.x, b.x) ||
      std::max(a.y, b.y) < std::min(c.y, d.y) || std::max(c.y, d.y) < std::min(a.y, b.y))
    return false;
  return cross(a, b, c) * cross(a, b, d) <= 0 && cross(c, d, a) * cross(c, d, b) <= 0;
}

}  // namespace

Image Regions::mask(int32_t region, int64_t height, int64_t width) const {
  Image m(height, width);
  for (size_t i = 0; i < label.size(); ++i) m.pixels[i] = label[i] == region ? 1.0f : 0.0f;
  return m;
}

Regions find_regions(const Image& mask) {
  internal_check(mask.channels == 1, "contour: a mask has 1 channel, got {}", mask.channels);
  Regions r;
  r.label.assign(mask.pixels.size(), 0);
  std::vector<int64_t> stack;
  for (int64_t start = 0; start < mask.height * mask.width; ++start) {
    if (mask.pixels[static_cast<size_t>(start)] == 0 || r.label[static_cast<size_t>(start)] != 0) continue;
    const auto name = static_cast<int32_t>(r.area.size() + 1);
    int64_t area = 0;
    r.label[static_cast<size_t>(start)] = name;
    for (stack.assign(1, start); !stack.empty(); ++area) {
      const int64_t y = stack.back() / mask.width, x = stack.back() % mask.width;
      stack.pop_back();
      for (size_t d = 0; d < 4; ++d) {
        const int64_t v = y + step_y[d], u = x + step_x[d], i = v * mask.width + u;
        if (v < 0 || u < 0 || v >= mask.height || u >= mask.width) continue;
        if (mask.pixels[static_cast<size_t>(i)] == 0 || r.label[static_cast<size_t>(i)] != 0) continue;
        r.label[static_cast<size_t>(i)] = name;
        stack.push_back(i);
      }
    }
    r.area.push_back(area);
  }
  return r;
}

Contour trace_outline(const Image& region) {
  const auto inside = [&](int64_t y, int64_t x) {
    return y >= 0 && x >= 0 && y < region.height && x < region.width && region.at(y, x) != 0;
  };
  const auto first = std::find_if(region.pixels.begin(), region.pixels.end(), [](float v) { return v != 0; });
  internal_check(first != region.pixels.end(), "contour: the outline of an empty region");
  const int64_t start = first - region.pixels.begin();
  const int64_t start_y = start / region.width, start_x = start % region.width;
  Contour c;
  int64_t y = start_y, x = start_x;
  size_t d = 0;  // walking along the pixel's side with the region on the right hand, first along its upper side
  do {
    const size_t left = (d + 3) % 4;
    c.push_back({static_cast<double>(x) + 0.5 * static_cast<double>(step_x[left]),
                 static_cast<double>(y) + 0.5 * static_cast<double>(step_y[left])});
    const int64_t ahead_y = y + step_y[d], ahead_x = x + step_x[d];
    if (!inside(ahead_y, ahead_x)) {
      d = (d + 1) % 4;
    } else {
      y = ahead_y, x = ahead_x;
      if (inside(y + step_y[left], x + step_x[left])) y += step_y[left], x += step_x[left], d = left;
    }
  } while (y != start_y || x != start_x || d != 0);
  return c;
}

Image fill(const Contour& polygon, int64_t height, int64_t width) {
  std::vector<std::vector<double>> crossings(static_cast<size_t>(height));  // of the line through each row's centres
  for (size_t i = 0; i < polygon.size(); ++i) {
    Vec2 a = polygon[i], b = polygon[(i + 1) % polygon.size()];
    if (a.y > b.y) std::swap(a, b);
    const auto from = static_cast<int64_t>(std::max(std::ceil(a.y), 0.0));
    for (int64_t y = from; y < height && static_cast<double>(y) < b.y; ++y)
      crossings[static_cast<size_t>(y)].push_back(a.x + (b.x - a.x) * (static_cast<double>(y) - a.y) / (b.y - a.y));
  }
  Image mask(height, width);
  for (int64_t y = 0; y < height; ++y) {
    std::vector<double>& at = crossings[static_cast<size_t>(y)];
    std::sort(at.begin(), at.end());
    for (size_t k = 0; k + 1 < at.size(); k += 2) {
      const auto from = static_cast<int64_t>(std::max(std::ceil(at[k]), 0.0));
      for (int64_t x = from; x < width && static_cast<double>(x) < at[k + 1]; ++x) mask.at(y, x) = 1;
    }
  }
  return mask;
}

std::vector<double> arc_lengths(const Contour& c) {
  std::vector<double> s(c.size() + 1, 0.0);
  for (size_t i = 0; i < c.size(); ++i) {
    const Vec2 &a = c[i], &b = c[(i + 1) % c.size()];
    s[i + 1] = s[i] + std::sqrt((b.x - a.x) * (b.x - a.x) + (b.y - a.y) * (b.y - a.y));
  }
  return s;
}

Contour resample(const Contour& c, int64_t count) {
  const std::vector<double> s = arc_lengths(c);
  Contour out;
  size_t i = 0;
  for (int64_t k = 0; k < count; ++k) {
    const double at = s.back() * static_cast<double>(k) / static_cast<double>(count);
    while (s[i + 1] <= at) ++i;
    const Vec2 &a = c[i], &b = c[(i + 1) % c.size()];
    const double t = (at - s[i]) / (s[i + 1] - s[i]);
    out.push_back({a.x + t * (b.x - a.x), a.y + t * (b.y - a.y)});
  }
  return out;
}

std::vector<Vec2> outward_normals(const Contour& c, int64_t reach) {
  const auto n = static_cast<int64_t>(c.size());
  std::vector<Vec2> normals;
  for (int64_t i = 0; i < n; ++i) {
    const Vec2 &a = c[static_cast<size_t>((i + n - reach) % n)], &b = c[static_cast<size_t>((i + reach) % n)];
    const double x = b.y - a.y, y = a.x - b.x, length = std::sqrt(x * x + y * y);
    normals.push_back(length > 0 ? Vec2{x / length, y / length} : Vec2{});
  }
  return normals;
}

bool self_intersects(const Contour& c, std::span<const uint8_t> moved) {
  internal_check(c.size() == moved.size(), "contour: {} marks for {} vertices", moved.size(), c.size());
  const size_t n = c.size();
  for (size_t i = 0; i < n; ++i) {
    const size_t i1 = (i + 1) % n;
    if (!moved[i] && !moved[i1]) continue;
    for (size_t j = 0; j < n; ++j) {
      const size_t j1 = (j + 1) % n;
      if (j == i || j1 == i || i1 == j) continue;  // neighbours share a vertex
      if (sides_cross(c[i], c[i1], c[j], c[j1])) return true;
    }
  }
  return false;
}

Vec2 periodic_spline(std::span<const Vec2> control, double t) {
  const double whole = std::floor(t), u = t - whole, v = 1 - u;
  const std::array<double, 4> weight = {v * v * v / 6, (3 * u * u * u - 6 * u * u + 4) / 6,
                                        (3 * v * v * v - 6 * v * v + 4) / 6, u * u * u / 6};
  const auto n = static_cast<int64_t>(control.size()), first = static_cast<int64_t>(whole) - 1;
  Vec2 p;
  for (size_t k = 0; k < 4; ++k) {
    const Vec2& q = control[static_cast<size_t>(((first + static_cast<int64_t>(k)) % n + n) % n)];
    p.x += weight[k] * q.x;
    p.y += weight[k] * q.y;
  }
  return p;
}

}  // namespace querent::al
