#include "al/realism/mask_response.h"

#include <algorithm>

#include "tensor/error.h"

namespace querent::al {

double mask_dice(std::span<const uint8_t> a, std::span<const uint8_t> b) {
  check(a.size() == b.size() && !a.empty(), "mask response: masks of {} and {} pixels cannot be compared", a.size(),
        b.size());
  int64_t both = 0, sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    both += a[i] && b[i];
    sum += (a[i] != 0) + (b[i] != 0);
  }
  return sum == 0 ? 1 : 2 * static_cast<double>(both) / static_cast<double>(sum);
}

MeanDice mean_dice(std::span<const MaskBytes> predicted, std::span<const MaskBytes> wanted,
                   std::span<const int64_t> groups, uint64_t seed) {
  check(!predicted.empty() && predicted.size() == wanted.size() && groups.size() == predicted.size(),
        "mask response: {} outlines, {} masks and {} groups do not fit", predicted.size(), wanted.size(),
        groups.size());
  MeanDice d{.n = static_cast<int64_t>(predicted.size())};
  for (size_t i = 0; i < predicted.size(); ++i) {
    d.each.push_back(mask_dice(predicted[i], wanted[i]));
    d.mean += d.each.back();
  }
  d.mean /= static_cast<double>(d.n);
  const auto below = std::count_if(d.each.begin(), d.each.end(), [](double v) { return v < MaskResponse::enough; });
  d.share_below = static_cast<double>(below) / static_cast<double>(d.n);
  d.interval = bootstrap_grouped_mean(d.each, groups, seed);
  return d;
}

MaskResponse mask_response(std::span<const MaskBytes> predicted, std::span<const MaskBytes> wanted,
                           std::span<const MaskBytes> base_masks, std::span<const int64_t> groups, uint64_t seed) {
  MaskResponse r{.wanted = mean_dice(predicted, wanted, groups, seed)};
  if (base_masks.empty()) return r;
  r.base = mean_dice(predicted, base_masks, groups, seed);
  r.edit = mean_dice(wanted, base_masks, groups, seed);
  std::vector<double> gain;
  for (size_t i = 0; i < predicted.size(); ++i) gain.push_back(r.wanted.each[i] - r.base->each[i]);
  r.gain = bootstrap_grouped_mean(gain, groups, seed);
  return r;
}

}  // namespace querent::al
