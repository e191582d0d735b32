#include "al/synthesis/boundary.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "al/surface_distance.h"
#include "tensor/error.h"

namespace querent::al {
namespace {

constexpr std::array<std::string_view, 9> refusal_names = {
    "none", "too_small", "protected_region", "frame", "self_intersection", "pieces", "dice", "area", "unchanged"};
constexpr double pi = 3.14159265358979323846;

void check_options(const BoundaryOptions& o) {
  check(o.window >= 3 && o.points >= 2 * o.window, "boundary: {} points in windows of {}: need points >= 2 window >= 6",
        o.points, o.window);
  check(o.min_windows >= 1 && o.max_windows >= o.min_windows, "boundary: the number of windows must be 1 <= {} <= {}",
        o.min_windows, o.max_windows);
  check(o.min_px >= 0 && o.max_px >= o.min_px && o.max_px > 0, "boundary: the displacement must be 0 <= {} <= {} px",
        o.min_px, o.max_px);
  check(o.protected_margin_px > o.max_px, "boundary: the protected margin of {} px must exceed the displacement of {}",
        o.protected_margin_px, o.max_px);
  check(o.attempts >= 1, "boundary: needs at least 1 attempt, got {}", o.attempts);
}

// One draw: the windows and the displacement of every control point.
struct Draw {
  std::vector<MovedWindow> windows;
  std::vector<Vec2> moves;  // [points]
};

Draw draw_windows(const std::vector<Vec2>& normals, std::vector<uint8_t> taken, double scale, const BoundaryOptions& o,
                  Rng rng) {
  Draw draw;
  draw.moves.resize(normals.size());
  const auto at = [&](int64_t i) { return static_cast<size_t>(i % o.points); };
  const int64_t wanted = o.min_windows + rng.below(o.max_windows - o.min_windows + 1);
  for (int64_t k = 0; k < wanted; ++k) {
    std::vector<int64_t> starts;
    for (int64_t first = 0; first < o.points; ++first) {
      bool room = true;
      for (int64_t j = 0; j < o.window && room; ++j) room = !taken[at(first + j)];
      if (room) starts.push_back(first);
    }
    if (starts.empty()) break;
    const int64_t first = starts[static_cast<size_t>(rng.below(static_cast<int64_t>(starts.size())))];
    const double sign = rng.uniform() < 0.5 ? -1 : 1;
    double distance = sign * rng.uniform(o.min_px, o.max_px) * scale, sum = 0;
    for (int64_t j = 0; j < o.window; ++j) {
      if (o.motion == Motion::point) distance = sign * rng.uniform(o.min_px, o.max_px) * scale;
      const double hann = std::sin(pi * static_cast<double>(j + 1) / static_cast<double>(o.window + 1));
      const Vec2& n = normals[at(first + j)];
      draw.moves[at(first + j)] = {hann * hann * distance * n.x, hann * hann * distance * n.y};
      taken[at(first + j)] = 1;
      sum += distance;
    }
    draw.windows.push_back({first, sum / static_cast<double>(o.window)});
  }
  return draw;
}

// One region of the mask, its outline, and what is round it.
struct Region {
  Image mask, holes, others;
  int64_t area = 0;
  Contour outline, points;
  std::vector<double> arc;
  std::vector<Vec2> normals;
};

Region make_region(const Image& mask, Image own, int64_t area, int64_t points) {
  Region r;
  r.area = area;
  r.outline = trace_outline(own);
  r.arc = arc_lengths(r.outline);
  r.points = resample(r.outline, points);
  // Long chords: they see past the stairs of the pixels, and a pointed tip moves as one piece and stays pointed.
  r.normals = outward_normals(r.points, std::max<int64_t>(points / 20, 1));
  r.holes = fill(r.outline, mask.height, mask.width);
  r.others = mask;
  for (size_t i = 0; i < mask.pixels.size(); ++i) {
    if (own.pixels[i] == 0) continue;
    r.holes.pixels[i] = 0;
    r.others.pixels[i] = 0;
  }
  r.mask = std::move(own);
  return r;
}

// The region after a draw, or why it is refused.
struct Candidate {
  Image mask;
  Refusal refusal = Refusal::none;
};

Candidate try_draw(const Region& r, const Draw& draw, const Image& protected_region, const BoundaryOptions& o) {
  const int64_t H = r.mask.height, W = r.mask.width;
  Contour outline = r.outline;
  std::vector<uint8_t> moved(outline.size(), 0);
  for (size_t i = 0; i < outline.size(); ++i) {
    const Vec2 d = periodic_spline(draw.moves, r.arc[i] / r.arc.back() * static_cast<double>(o.points));
    if (d.x == 0 && d.y == 0) continue;
    Vec2& v = outline[i];
    v.x += d.x, v.y += d.y;
    moved[i] = 1;
    if (v.x < -0.5 || v.y < -0.5 || v.x > static_cast<double>(W) - 0.5 || v.y > static_cast<double>(H) - 0.5)
      return {{}, Refusal::frame};
  }
  if (self_intersects(outline, moved)) return {{}, Refusal::self_intersection};
  Candidate c{fill(outline, H, W)};
  bool changed = false, intact = true, apart = true;
  double area = 0;
  for (size_t i = 0; i < c.mask.pixels.size(); ++i) {
    if (r.holes.pixels[i] != 0) c.mask.pixels[i] = 0;
    const bool differs = c.mask.pixels[i] != r.mask.pixels[i];
    changed |= differs;
    intact &= !differs || protected_region.pixels.empty() || protected_region.pixels[i] == 0;
    area += c.mask.pixels[i];
    if (c.mask.pixels[i] == 0) continue;
    const auto x = static_cast<int64_t>(i) % W, y = static_cast<int64_t>(i) / W;
    apart &= r.others.pixels[i] == 0 && !(x > 0 && r.others.pixels[i - 1] != 0) &&
             !(x + 1 < W && r.others.pixels[i + 1] != 0) && !(y > 0 && r.others.at(y - 1, x) != 0) &&
             !(y + 1 < H && r.others.at(y + 1, x) != 0);
  }
  c.refusal = !changed                                                               ? Refusal::unchanged
              : !intact                                                              ? Refusal::protected_region
              : !apart || find_regions(c.mask).area.size() != 1                      ? Refusal::pieces
              : dice(c.mask, r.mask) < o.min_dice                                    ? Refusal::dice
              : std::abs(area / static_cast<double>(r.area) - 1) > o.max_area_change ? Refusal::area
                                                                                     : Refusal::none;
  return c;
}

}  // namespace

std::string_view name_of(Refusal r) { return refusal_names[static_cast<size_t>(r)]; }

double dice(const Image& a, const Image& b) {
  internal_check(a.pixels.size() == b.pixels.size(), "dice: masks of {} and {} pixels", a.pixels.size(),
                 b.pixels.size());
  int64_t both = 0, sum = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i) {
    both += a.pixels[i] != 0 && b.pixels[i] != 0;
    sum += (a.pixels[i] != 0) + (b.pixels[i] != 0);
  }
  return sum > 0 ? 2.0 * static_cast<double>(both) / static_cast<double>(sum) : 1;
}

Displacement displace_boundary(const Image& mask, const Image& protected_region, const BoundaryOptions& o, Rng rng) {
  check_options(o);
  check(protected_region.pixels.empty() || protected_region.pixels.size() == mask.pixels.size(),
        "boundary: the protected region is {}x{}, the mask {}x{}", protected_region.width, protected_region.height,
        mask.width, mask.height);
  const double scale = static_cast<double>(std::max(mask.height, mask.width)) / 512;
  const bool guarded =
      std::any_of(protected_region.pixels.begin(), protected_region.pixels.end(), [](float v) { return v != 0; });
  std::vector<double> distance2;  // to the protected region
  if (guarded) {
    const std::vector<uint8_t> bits(protected_region.pixels.begin(), protected_region.pixels.end());
    distance2 = squared_distance_transform(bits, mask.height, mask.width);
  }
  const double margin = o.protected_margin_px * scale;
  const auto near = [&](const Vec2& p) {
    if (!guarded) return false;
    const auto x = std::clamp(static_cast<int64_t>(std::lround(p.x)), int64_t{0}, mask.width - 1);
    const auto y = std::clamp(static_cast<int64_t>(std::lround(p.y)), int64_t{0}, mask.height - 1);
    return distance2[static_cast<size_t>(y * mask.width + x)] <= margin * margin;
  };

  Displacement result;
  result.mask = mask;
  const Regions regions = find_regions(mask);
  for (size_t k = 0; k < regions.area.size(); ++k) {
    const auto name = static_cast<int32_t>(k + 1);
    RegionEdit& edit = result.regions.emplace_back();
    edit.area = regions.area[k];
    if (static_cast<double>(edit.area) < o.min_region * static_cast<double>(mask.pixels.size())) {
      edit.refusal = Refusal::too_small;
      continue;
    }
    const Region r = make_region(result.mask, regions.mask(name, mask.height, mask.width), edit.area, o.points);
    std::vector<uint8_t> taken;
    for (const Vec2& p : r.points) taken.push_back(near(p));
    for (int64_t attempt = 0; attempt < o.attempts; ++attempt) {
      Draw draw = draw_windows(r.normals, taken, scale, o, rng.fork(k).fork(static_cast<uint64_t>(attempt)));
      ++edit.attempts;
      if (draw.windows.empty()) {
        edit.refusal = Refusal::protected_region;
        break;
      }
      const Candidate c = try_draw(r, draw, protected_region, o);
      edit.refusal = c.refusal;
      if (c.refusal != Refusal::none) continue;
      edit.dice = dice(c.mask, r.mask);
      edit.windows = draw.windows;
      result.spacing = std::max(result.spacing, r.arc.back() / static_cast<double>(o.points));
      for (size_t i = 0; i < result.mask.pixels.size(); ++i)
        result.mask.pixels[i] = std::max(r.others.pixels[i], c.mask.pixels[i]);
      for (size_t i = 0; i < r.points.size(); ++i) {
        const Vec2 d = periodic_spline(draw.moves, static_cast<double>(i));
        result.points.push_back({r.points[i].x + d.x, r.points[i].y + d.y});
        result.moves.push_back(d);
      }
      break;
    }
  }
  return result;
}

}  // namespace querent::al
