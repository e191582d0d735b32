#include "al/synthesis/gan_watch.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "tensor/error.h"

namespace querent::al {
namespace {

using nlohmann::json;
constexpr double saturated_share = 0.1, blind_share = 0.02;  // of chance
constexpr float difference_gain = 4;
constexpr int64_t line = 2;  // pixels between pictures

template <class Losses, class F>
void each_loss(Losses& l, F f) {
  f("judge_real", l.judge_real), f("judge_fake", l.judge_fake), f("adversarial", l.adversarial);
  f("content", l.content), f("discriminator", l.discriminator), f("generator", l.generator);
}

// One pair at a time: memory stays small and the bits do not depend on the others.
Tensor run(const FilmGenerator& generate, const Image& film, const Image& mask) {
  const Image *f = &film, *m = &mask;
  return generate(film_tensor({&f, 1}), mask_tensor({&m, 1}));
}

template <class Rule>
bool held(std::span<const EpochLog> log, Rule rule) {
  return log.size() >= warning_epochs && std::all_of(log.end() - warning_epochs, log.end(), rule);
}

}  // namespace

MaskEffect mask_effect(const FilmGenerator& generate, std::span<const FilmPair> pairs) {
  double sums[2] = {0, 0};  // outside, inside
  int64_t pixels[2] = {0, 0}, used = 0;
  for (const FilmPair& p : pairs) {
    if (p.mask.pixels == p.edit.mask.pixels) continue;
    ++used;
    const std::vector<float> a = run(generate, p.film, p.mask).host(), b = run(generate, p.film, p.edit.mask).host();
    for (size_t i = 0; i < a.size(); ++i) {
      const bool inside = p.mask.pixels[i] != p.edit.mask.pixels[i];
      sums[inside] += std::fabs(static_cast<double>(a[i]) - b[i]);
      ++pixels[inside];
    }
  }
  const auto mean = [&](int k) { return pixels[k] > 0 ? sums[k] / static_cast<double>(pixels[k]) : 0; };
  return {mean(1), mean(0), used};
}

json to_json(const EpochLog& e) {
  json j = {{"epoch", e.epoch}, {"step", e.step}};
  each_loss(e.losses, [&](const char* name, double value) { j[name] = value; });
  j["response"] = {{"inside", e.response.inside}, {"outside", e.response.outside}, {"pairs", e.response.pairs}};
  j["warnings"] = e.warnings;
  return j;
}

EpochLog epoch_from_json(const json& j) {
  EpochLog e;
  e.epoch = j.at("epoch"), e.step = j.at("step");
  each_loss(e.losses, [&](const char* name, double& value) { value = j.at(name); });
  const json& r = j.at("response");
  e.response = {r.at("inside"), r.at("outside"), r.at("pairs")};
  e.warnings = j.at("warnings").get<std::vector<std::string>>();
  return e;
}

GanLosses add_losses(const GanLosses& a, const GanLosses& b) {
  return {a.judge_real + b.judge_real, a.judge_fake + b.judge_fake,       a.adversarial + b.adversarial,
          a.content + b.content,       a.discriminator + b.discriminator, a.generator + b.generator};
}

GanLosses mean_losses(const GanLosses& sums, int64_t count) {
  GanLosses mean = sums;
  each_loss(mean, [&](const char*, double& value) { value /= static_cast<double>(count); });
  return mean;
}

std::vector<std::string> gan_warnings(std::span<const EpochLog> log, GanLoss::Kind kind) {
  const double chance = kind == GanLoss::least_squares ? 0.25 : std::log(2.0);
  std::vector<std::string> said;
  if (held(log, [&](const EpochLog& e) { return e.losses.discriminator < saturated_share * chance; }))
    said.push_back(
        text("the discriminator is saturated (loss {} for {} epochs): the generator learns little from it; "
             "use a larger --lambda, --loss lsgan, or more films",
             log.back().losses.discriminator, warning_epochs));
  if (held(log, [&](const EpochLog& e) { return std::fabs(e.losses.discriminator / chance - 1) < blind_share; }))
    said.push_back(
        text("the discriminator tells nothing apart (loss {}, chance is {}); use a larger --width or more "
             "--steps",
             log.back().losses.discriminator, chance));
  if (held(log, [](const EpochLog& e) { return e.response.pairs > 0 && e.response.inside <= e.response.outside; }))
    said.push_back(
        text("the mask is ignored: films change by {} where it changes and by {} elsewhere; train longer, "
             "or use --gan pix2pix, which sees the mask itself",
             log.back().response.inside, log.back().response.outside));
  return said;
}

Image mask_picture(const Image& before, const Image& after) {
  Image out = after;
  for (size_t i = 0; i < out.pixels.size(); ++i)
    if (before.pixels[i] != after.pixels[i]) out.pixels[i] = after.pixels[i] != 0 ? 0.7f : 0.35f;
  return out;
}

Image sample_grid(const FilmGenerator& generate, std::span<const FilmPair> pairs) {
  std::vector<std::vector<Image>> rows;
  for (const FilmPair& p : pairs) {
    const Image made = film_image(run(generate, p.film, p.edit.mask), 0);
    Image difference = made;
    for (size_t i = 0; i < made.pixels.size(); ++i)
      difference.pixels[i] = std::min(1.0f, difference_gain * std::fabs(made.pixels[i] - p.edit.image.pixels[i]));
    rows.push_back({p.film, mask_picture(p.mask, p.edit.mask), p.edit.image, made, difference});
  }
  return contact_sheet(rows);
}

Image contact_sheet(const std::vector<std::vector<Image>>& rows) {
  size_t columns = 0;
  for (const auto& row : rows) columns = std::max(columns, row.size());
  internal_check(columns > 0, "contact sheet: no picture");
  const int64_t h = rows[0][0].height, w = rows[0][0].width;
  Image sheet(static_cast<int64_t>(rows.size()) * (h + line) - line, static_cast<int64_t>(columns) * (w + line) - line);
  std::fill(sheet.pixels.begin(), sheet.pixels.end(), 1.0f);
  for (size_t r = 0; r < rows.size(); ++r)
    for (size_t c = 0; c < rows[r].size(); ++c) {
      const Image& picture = rows[r][c];
      internal_check(picture.height == h && picture.width == w, "contact sheet: pictures of different sizes");
      for (int64_t y = 0; y < h; ++y)
        std::copy_n(&picture.pixels[static_cast<size_t>(y * w)], w,
                    &sheet.at(static_cast<int64_t>(r) * (h + line) + y, static_cast<int64_t>(c) * (w + line)));
    }
  return sheet;
}

}  // namespace querent::al
