// What to watch while a conditional GAN trains: does the film follow the mask, has the discriminator stopped teaching,
// and what do the films look like.
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "al/synthesis/film_pair.h"
#include "models/gan_train.h"

namespace querent::al {

// Mean |G(x, m) - G(x, m')| over the pixels inside m xor m' and over those outside, all pairs together; m is the mask
// of x. Greys in -1..1. Pairs with m = m' are left out; `pairs` counts the others.
struct MaskEffect {
  double inside = 0, outside = 0;
  int64_t pairs = 0;
};
MaskEffect mask_effect(const FilmGenerator& generate, std::span<const FilmPair> pairs);

// One line of losses.jsonl: means over the epoch, the response at its end.
struct EpochLog {
  int64_t epoch = 0, step = 0;  // both counted from 1; the epoch's last step
  GanLosses losses;
  MaskEffect response;
  std::vector<std::string> warnings;
};
nlohmann::json to_json(const EpochLog& e);
EpochLog epoch_from_json(const nlohmann::json& j);
// The sum of losses so far and the same divided; a checkpoint keeps the sums.
GanLosses add_losses(const GanLosses& a, const GanLosses& b);
GanLosses mean_losses(const GanLosses& sums, int64_t count);

// Each is a sentence with its remedy, said when its rule has held for `warning_epochs` epochs to the last:
//   saturated  the discriminator's loss is below 10 % of chance (log 2, least squares 1/4): the generator learns
//   nothing blind      it is within 2 % of chance: the discriminator tells nothing apart ignored    the films change no
//   more inside m xor m' than outside it: mode collapse, or the mask is not used
constexpr size_t warning_epochs = 3;
std::vector<std::string> gan_warnings(std::span<const EpochLog> log, GanLoss::Kind kind);

// A row for each pair: base film | mask m', grey where m and m' differ (light: new, dark: gone) | target y | generated
// | difference of the two, 4 x |a - b|.
Image sample_grid(const FilmGenerator& generate, std::span<const FilmPair> pairs);
Image mask_picture(const Image& before, const Image& after);
// Pictures of one size, rows top to bottom, with a white line between them. Rows may have different lengths.
Image contact_sheet(const std::vector<std::vector<Image>>& rows);

}  // namespace querent::al
