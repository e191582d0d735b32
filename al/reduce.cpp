#include "al/reduce.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "tensor/error.h"

namespace querent::al {
namespace {

constexpr std::array<std::string_view, 5> reduce_names{"mean", "top_percent", "max_patch", "boundary_excluded",
                                                       "foreground"};

double mean_of(std::span<const double> v) {
  return std::accumulate(v.begin(), v.end(), 0.0) / static_cast<double>(v.size());
}

double top_percent_of(std::span<const double> map, double percent) {
  check(percent > 0 && percent <= 100, "acquisition: the top percentage must be in (0, 100], got {}", percent);
  const auto k =
      std::max<size_t>(1, static_cast<size_t>(std::llround(percent / 100 * static_cast<double>(map.size()))));
  std::vector<double> v(map.begin(), map.end());
  std::nth_element(v.begin(), v.begin() + static_cast<ptrdiff_t>(k - 1), v.end(), std::greater<>());
  // Sorted before adding: the order nth_element leaves behind is not part of its contract.
  std::sort(v.begin(), v.begin() + static_cast<ptrdiff_t>(k), std::greater<>());
  return mean_of(std::span(v).first(k));
}

// Window sums from an integral image, [H+1,W+1].
double max_patch_of(std::span<const double> map, int64_t H, int64_t W, int64_t patch) {
  check(patch >= 1, "acquisition: the patch side must be at least 1 px, got {}", patch);
  const int64_t ph = std::min(patch, H), pw = std::min(patch, W);
  std::vector<double> sum(static_cast<size_t>((H + 1) * (W + 1)), 0.0);
  const auto at = [&](int64_t y, int64_t x) -> double& { return sum[static_cast<size_t>(y * (W + 1) + x)]; };
  for (int64_t y = 0; y < H; ++y)
    for (int64_t x = 0; x < W; ++x)
      at(y + 1, x + 1) = map[static_cast<size_t>(y * W + x)] + at(y, x + 1) + at(y + 1, x) - at(y, x);
  double best = 0;
  for (int64_t y = ph; y <= H; ++y)
    for (int64_t x = pw; x <= W; ++x)
      best = std::max(best, at(y, x) - at(y - ph, x) - at(y, x - pw) + at(y - ph, x - pw));
  return best / static_cast<double>(ph * pw);
}

}  // namespace

std::string_view name_of(Reduce r) { return reduce_names[static_cast<size_t>(r)]; }

Reduce parse_reduce(std::string_view name) {
  const auto it = std::find(reduce_names.begin(), reduce_names.end(), name);
  check(it != reduce_names.end(),
        "acquisition: unknown reduction '{}'; use mean, top_percent, max_patch, boundary_excluded or foreground", name);
  return static_cast<Reduce>(it - reduce_names.begin());
}

std::vector<uint8_t> contour_band(std::span<const double> foreground, int64_t H, int64_t W, int64_t distance) {
  const auto inside = [&](int64_t y, int64_t x) { return foreground[static_cast<size_t>(y * W + x)] >= 0.5; };
  std::vector<uint8_t> band(static_cast<size_t>(H * W), 0);
  for (int64_t y = 0; y < H; ++y)
    for (int64_t x = 0; x < W; ++x) {
      const bool here = inside(y, x);
      band[static_cast<size_t>(y * W + x)] =
          (y > 0 && inside(y - 1, x) != here) || (x > 0 && inside(y, x - 1) != here) ||
          (y + 1 < H && inside(y + 1, x) != here) || (x + 1 < W && inside(y, x + 1) != here);
    }
  for (int64_t step = 1; step < distance; ++step) {  // grow by one 4-neighbour ring
    const std::vector<uint8_t> old = band;
    for (int64_t y = 0; y < H; ++y)
      for (int64_t x = 0; x < W; ++x) {
        const size_t i = static_cast<size_t>(y * W + x);
        if ((y > 0 && old[i - static_cast<size_t>(W)]) || (y + 1 < H && old[i + static_cast<size_t>(W)]) ||
            (x > 0 && old[i - 1]) || (x + 1 < W && old[i + 1]))
          band[i] = 1;
      }
  }
  return band;
}

double reduce(std::span<const double> map, std::span<const double> foreground, int64_t H, int64_t W,
              const Reduction& r) {
  const size_t n = static_cast<size_t>(H * W);
  internal_check(n > 0 && map.size() == n && foreground.size() == n, "acquisition: map of {} for {}x{}", map.size(), H,
                 W);
  switch (r.kind) {
    case Reduce::mean:
      return mean_of(map);
    case Reduce::top_percent:
      return top_percent_of(map, r.top_percent);
    case Reduce::max_patch:
      return max_patch_of(map, H, W, r.patch);
    case Reduce::foreground: {
      const double area = std::accumulate(foreground.begin(), foreground.end(), 0.0);
      return mean_of(map) * static_cast<double>(n) / std::max(area, 0.01 * static_cast<double>(n));
    }
    case Reduce::boundary_excluded:
      break;
  }
  check(r.boundary >= 1, "acquisition: the boundary band must be at least 1 px wide, got {}", r.boundary);
  const std::vector<uint8_t> band = contour_band(foreground, H, W, r.boundary);
  double sum = 0;
  int64_t kept = 0;
  for (size_t i = 0; i < n; ++i)
    if (!band[i]) {
      sum += map[i];
      ++kept;
    }
  return kept > 0 ? sum / static_cast<double>(kept) : mean_of(map);
}

}  // namespace querent::al
