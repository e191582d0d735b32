#include "al/scr2006/masks.h"

#include <algorithm>
#include <numeric>

#include "al/scr2006/features.h"
#include "al/synthesis/contour.h"
#include "tensor/error.h"

namespace querent::al {

std::vector<uint8_t> mean_mask(std::span<const std::vector<uint8_t>> masks) {
  check(!masks.empty(), "masks: there is no mask to average");
  std::vector<size_t> votes(masks[0].size(), 0);
  for (const std::vector<uint8_t>& mask : masks) {
    check(mask.size() == votes.size(), "masks: {} pixels, the first has {}", mask.size(), votes.size());
    for (size_t i = 0; i < votes.size(); ++i) votes[i] += mask[i];
  }
  std::vector<uint8_t> mean;
  for (const size_t v : votes) mean.push_back(2 * v >= masks.size());
  return mean;
}

std::vector<uint8_t> largest_filled(const Image& mask, int64_t regions) {
  const Regions found = find_regions(mask);
  std::vector<int32_t> order(found.area.size());
  std::iota(order.begin(), order.end(), 1);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return found.area[static_cast<size_t>(a - 1)] > found.area[static_cast<size_t>(b - 1)];
  });
  order.resize(std::min(order.size(), static_cast<size_t>(regions)));
  std::vector<uint8_t> out(mask.pixels.size(), 0);
  for (const int32_t r : order) {
    const Image filled = fill(trace_outline(found.mask(r, mask.height, mask.width)), mask.height, mask.width);
    for (size_t i = 0; i < out.size(); ++i) out[i] |= filled.pixels[i] != 0;
  }
  return out;
}

std::vector<uint8_t> clean_mask(const Image& posterior, int64_t regions) {
  Image mask = blur(posterior, static_cast<double>(posterior.width) / 128);
  for (float& v : mask.pixels) v = v >= 0.5f ? 1.0f : 0.0f;
  return largest_filled(mask, regions);
}

}  // namespace querent::al
