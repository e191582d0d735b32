// Does a synthetic film show the mask it was made for? A segmentation network outlines the sample, and its outline is
// compared with the wanted mask m' (Dice). The same network on real films of the held-out patients is the ceiling. The
// Dice of the same outline with the mask m of the base film is the contrast: a source that ignores m' and repeats its
// base scores higher there.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "al/statistics.h"

namespace querent::al {

using MaskBytes = std::vector<uint8_t>;                                    // [H*W], not 0 = foreground
double mask_dice(std::span<const uint8_t> a, std::span<const uint8_t> b);  // both empty: 1

struct MeanDice {
  int64_t n = 0;
  double mean = 0;
  Interval interval = {};  // 95 %, over groups
  double share_below = 0;  // of the films, below MaskResponse::enough
  std::vector<double> each = {};
};
// groups: films that belong together (variants of one base, films of one patient).
MeanDice mean_dice(std::span<const MaskBytes> predicted, std::span<const MaskBytes> wanted,
                   std::span<const int64_t> groups, uint64_t seed);

struct MaskResponse {
  static constexpr double enough = 0.9;
  MeanDice wanted;                    // outline against m'
  std::optional<MeanDice> base = {};  // outline against m; none without bases
  std::optional<MeanDice> edit = {};  // m' against m: what a perfect source would score against its base
  std::optional<MeanDice> real = {};  // the ceiling
  Interval gain = {};                 // of wanted - base, film by film
  bool ignores_mask() const { return base && gain.high < 0; }
  bool follows() const { return wanted.mean >= enough && !ignores_mask(); }
};
// `base_masks` may be empty.
MaskResponse mask_response(std::span<const MaskBytes> predicted, std::span<const MaskBytes> wanted,
                           std::span<const MaskBytes> base_masks, std::span<const int64_t> groups, uint64_t seed);

}  // namespace querent::al
