#include "al/synthesis/mask_edit.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "data/parallel.h"
#include "tensor/error.h"
#include "tensor/json.h"

namespace querent::al {
namespace {

void check_mask(const EditBase& base, const Image& mask, const char* what) {
  check(mask.height == base.mask.height && mask.width == base.mask.width && mask.channels == 1,
        "mask edit: the {} of case '{}' is {}x{}x{}, its mask {}x{}", what, base.id, mask.width, mask.height,
        mask.channels, base.mask.width, base.mask.height);
  for (const float v : mask.pixels)
    check(v == 0 || v == 1, "mask edit: the {} of case '{}' has a pixel of {}; it must be 0 or 1", what, base.id, v);
}

void check_base(const EditBase& base, const EditOptions& o) {
  check_mask(base, base.mask, "mask");
  check(std::any_of(base.mask.pixels.begin(), base.mask.pixels.end(), [](float v) { return v != 0; }),
        "mask edit: the mask of case '{}' is empty", base.id);
  if (!base.protected_region.pixels.empty()) check_mask(base, base.protected_region, "protected region");
  const Image& image = base.image;
  check(image.pixels.empty() ||
            (image.height == base.mask.height && image.width == base.mask.width && image.channels == 1),
        "mask edit: the image of case '{}' is {}x{}x{}, its mask {}x{}", base.id, image.width, image.height,
        image.channels, base.mask.width, base.mask.height);
  for (const double share : {o.boundary_share, o.intensity_share, o.rigid_share})
    check(share >= 0 && share <= 1, "mask edit: the share of a family must be in [0,1], got {}", share);
  check(o.infill.protected_px <= o.boundary.protected_margin_px,
        "mask edit: infill.protected_px is {}, more than boundary.protected_margin_px = {}", o.infill.protected_px,
        o.boundary.protected_margin_px);
  check(o.infill.reach_px >= 1.6 * o.boundary.max_px,  // fade() falls by at most pi/2 per reach
        "mask edit: infill.reach_px is {}; below 1.6 boundary.max_px = {} the warp folds", o.infill.reach_px,
        1.6 * o.boundary.max_px);
  const bool intensity = o.intensity_share > 0 && !image.pixels.empty();
  check(o.boundary_share > 0 || intensity || o.rigid_share > 0, "mask edit: no family of edits is left for case '{}'",
        base.id);
  check(!intensity || o.intensity.mode != IntensityMode::histogram || !base.donor.empty(),
        "mask edit: mode histogram needs a donor histogram for case '{}'", base.id);
}

struct Families {
  bool boundary = false, intensity = false, rigid = false;
};
Families draw_families(const EditOptions& o, bool has_image, Rng rng) {
  const double intensity_share = has_image ? o.intensity_share : 0;
  Families f;
  f.boundary = rng.uniform() < o.boundary_share;
  f.intensity = rng.uniform() < intensity_share;
  f.rigid = rng.uniform() < o.rigid_share;
  if (f.boundary || f.intensity || f.rigid) return f;
  const double most = std::max({o.boundary_share, intensity_share, o.rigid_share});
  f.boundary = o.boundary_share == most;
  f.intensity = !f.boundary && intensity_share == most;
  f.rigid = !f.boundary && !f.intensity;
  return f;
}

// Is every pixel of the region still in the picture after the move? The forward map of data::augment.
bool stays_inside(const Image& region, const data::AugmentParams& p) {
  const double cy = static_cast<double>(region.height - 1) / 2, cx = static_cast<double>(region.width - 1) / 2;
  const double side = static_cast<double>(std::max(region.height, region.width));
  const double cosine = p.zoom * std::cos(p.angle), sine = p.zoom * std::sin(p.angle);
  for (int64_t y = 0; y < region.height; ++y)
    for (int64_t x = 0; x < region.width; ++x) {
      if (region.at(y, x) == 0) continue;
      const double v = static_cast<double>(y) - cy, u = (static_cast<double>(x) - cx) * (p.flip ? -1 : 1);
      const double ny = cy + p.dy * side + cosine * v - sine * u, nx = cx + p.dx * side + sine * v + cosine * u;
      if (ny < 0 || nx < 0 || ny > static_cast<double>(region.height - 1) || nx > static_cast<double>(region.width - 1))
        return false;
    }
  return true;
}

double area(const Image& mask) {
  double sum = 0;
  for (const float v : mask.pixels) sum += v;
  return sum;
}

void move_film(EditedMask& e, const RigidOptions& o, Rng rng) {
  data::Augmentation range;
  range.flip = o.flip;
  range.rotate_deg = o.rotate_deg;
  range.shift = o.shift;
  range.scale = o.scale;
  for (int64_t attempt = 0; attempt < o.attempts; ++attempt) {
    const data::AugmentParams p = data::sample(range, rng.fork(static_cast<uint64_t>(attempt)));
    if (!stays_inside(e.protected_region, p)) continue;
    Image image = e.image.pixels.empty() ? Image(e.mask.height, e.mask.width) : e.image, mask = e.mask;
    data::augment(image, &mask, p);
    if (area(mask) < (1 - o.max_lost) * p.zoom * p.zoom * area(e.mask)) continue;
    if (!e.protected_region.pixels.empty()) {
      Image unused(e.mask.height, e.mask.width);
      data::augment(unused, &e.protected_region, p);
    }
    e.mask = std::move(mask);
    if (!e.image.pixels.empty()) e.image = std::move(image);
    e.record.rigid = p;
    return;
  }
  e.record.rigid_refused = true;
}

}  // namespace

EditOptions paper_edits() {
  EditOptions o;
  o.boundary.motion = Motion::point;
  o.infill.kind = Infill::sample;
  o.intensity.mode = IntensityMode::literal;
  o.intensity.edge_px = 0;
  o.rigid.flip = 0.5;
  o.rigid.scale = 0;
  return o;
}

bool EditRecord::edited() const {
  const bool moved =
      std::any_of(boundary.begin(), boundary.end(), [](const RegionEdit& r) { return !r.windows.empty(); });
  return moved || intensity.has_value() || rigid.has_value();
}

std::string to_json(const EditRecord& r) {
  using nlohmann::json;
  json j{{"base", r.base}, {"variant", r.variant}, {"edited", r.edited()}};
  for (const RegionEdit& e : r.boundary) {
    json region{{"area", e.area}, {"attempts", e.attempts}, {"dice", e.dice}, {"refusal", name_of(e.refusal)}};
    region["windows"] = json::array();
    for (const MovedWindow& w : e.windows) region["windows"].push_back({{"first", w.first}, {"distance", w.distance}});
    j["boundary"].push_back(region);
  }
  if (!r.boundary.empty()) j["dice"] = r.dice;
  if (r.intensity) {
    j["intensity"] = {{"mode", name_of(r.intensity->mode)}};
    if (r.intensity->mode == IntensityMode::histogram) {
      j["intensity"]["blend"] = r.intensity->blend;
    } else {
      j["intensity"]["alpha"] = r.intensity->alpha;
      j["intensity"]["beta"] = r.intensity->beta;
      j["intensity"]["gain_mean"] = r.intensity->gain_mean;
      j["intensity"]["gain_contrast"] = r.intensity->gain_contrast;
    }
  }
  if (r.rigid)
    j["rigid"] = {{"flip", r.rigid->flip},
                  {"angle", r.rigid->angle},
                  {"dx", r.rigid->dx},
                  {"dy", r.rigid->dy},
                  {"zoom", r.rigid->zoom}};
  if (r.rigid_refused) j["rigid_refused"] = true;
  return dump_json(j);
}

EditedMask edit_mask(const EditBase& base, int64_t variant, uint64_t seed, const EditOptions& o) {
  check_base(base, o);
  const Rng rng = Rng(mix_key(seed, hash_name(base.id))).fork("mask edit").fork(static_cast<uint64_t>(variant));
  const bool has_image = !base.image.pixels.empty();
  const Families take = draw_families(o, has_image, rng.fork("families"));
  EditedMask e{base.image, base.mask, base.protected_region, {}};
  e.record.base = base.id;
  e.record.variant = variant;
  if (take.boundary) {
    Displacement moved = displace_boundary(base.mask, base.protected_region, o.boundary, rng.fork("boundary"));
    if (has_image && moved.changed())
      e.image = o.infill.kind == Infill::warp
                    ? warp_to_boundary(base.image, moved, base.protected_region, o.infill)
                    : sample_infill(base.image, base.mask, moved.mask, o.infill, rng.fork("infill"));
    e.record.boundary = std::move(moved.regions);
    e.mask = std::move(moved.mask);
    e.record.dice = dice(base.mask, e.mask);
  }
  if (take.intensity) {
    const IntensityEdit draw = sample(o.intensity, rng.fork("intensity"));
    const IntensityHistogram region = histogram_inside(base.image, base.mask, base.protected_region);
    e.image = edit_intensity(e.image, e.mask, base.protected_region, draw, region, base.donor, o.intensity);
    e.record.intensity = draw;
  }
  if (take.rigid) move_film(e, o.rigid, rng.fork("rigid"));
  return e;
}

std::vector<EditedMask> edit_masks(const EditBase& base, int64_t count, uint64_t seed, const EditOptions& o) {
  check(count >= 0, "mask edit: cannot make {} variants of case '{}'", count, base.id);
  std::vector<EditedMask> variants(static_cast<size_t>(count));
  data::parallel_for(count, [&](int64_t i) { variants[static_cast<size_t>(i)] = edit_mask(base, i, seed, o); });
  return variants;
}

}  // namespace querent::al
