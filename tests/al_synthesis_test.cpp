// Mask editing: boundary displacement, intensities, rigid moves, and what must never change.
#include <doctest/doctest.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>

#include "al/surface_distance.h"
#include "al/synthesis/mask_edit.h"
#include "data/phantom.h"
#include "tensor/error.h"

TEST_SUITE_BEGIN("al_synthesis_test");
using namespace querent;
using namespace querent::al;

namespace {

Image draw(int64_t height, int64_t width, const std::function<bool(int64_t y, int64_t x)>& inside) {
  Image m(height, width);
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x) m.at(y, x) = inside(y, x) ? 1.0f : 0.0f;
  return m;
}
Image disc(int64_t side, double cy, double cx, double radius) {
  return draw(side, side, [=](int64_t y, int64_t x) {
    return std::hypot(static_cast<double>(y) - cy, static_cast<double>(x) - cx) <= radius;
  });
}
Phantom phantom(const std::string& label, int64_t size) {
  PhantomOptions o;
  o.size = size;
  for (int64_t i = 0;; ++i) {
    Phantom p = render_phantom(o, i);
    if (p.label == label) return p;
  }
}
EditBase base_of(const Phantom& p, const std::string& id) {
  EditBase b{.id = id, .image = p.image, .mask = p.lungs, .protected_region = p.opacity, .donor = {}};
  const auto side = static_cast<double>(p.image.width);
  for (const Nodule& n : p.nodules) {
    const Image spot = disc(p.image.width, n.y * side, n.x * side, 1.3 * n.radius * side);
    for (size_t i = 0; i < spot.pixels.size(); ++i)
      b.protected_region.pixels[i] = std::max(b.protected_region.pixels[i], spot.pixels[i]);
  }
  return b;
}
std::vector<uint8_t> bits(const Image& m) { return {m.pixels.begin(), m.pixels.end()}; }
bool same(const EditedMask& a, const EditedMask& b) {
  return a.image.pixels == b.image.pixels && a.mask.pixels == b.mask.pixels &&
         a.protected_region.pixels == b.protected_region.pixels && to_json(a.record) == to_json(b.record);
}
double length(const Vec2& p) { return std::hypot(p.x, p.y); }
IntensityEdit at_corner() {  // the largest alpha and beta
  IntensityEdit e;
  e.alpha = 5, e.beta = 10, e.gain_mean = 0.25, e.gain_contrast = 0.4, e.key = 3;
  return e;
}

}  // namespace

TEST_CASE("boundary displacement: connected lungs, bounded, near its windows only, Dice below 1 and above the guard") {
  for (const int64_t size : {128, 256}) {
    for (const Motion motion : {Motion::window, Motion::point}) {
      const double limit = 15 * static_cast<double>(size) / 512;
      BoundaryOptions o;
      o.motion = motion;
      const Image& lungs = phantom("normal", size).lungs;
      double farthest = 0;
      std::set<size_t> windows;
      for (uint64_t seed = 0; seed < 12; ++seed) {
        const Displacement d = displace_boundary(lungs, {}, o, Rng(seed));
        REQUIRE(d.changed());
        CHECK(find_regions(d.mask).area.size() == find_regions(lungs).area.size());
        CHECK(dice(d.mask, lungs) > 0.7);
        CHECK(dice(d.mask, lungs) < 1);
        const Hausdorff h = hausdorff(bits(d.mask), bits(lungs), size, size);
        CHECK(h.max <= limit + 1);
        farthest = std::max(farthest, h.max);
        std::vector<Vec2> moved;
        for (size_t i = 0; i < d.moves.size(); ++i) {
          CHECK(length(d.moves[i]) <= limit);
          if (length(d.moves[i]) > 0) moved.push_back(d.points[i]);
        }
        int64_t far = 0;
        for (int64_t y = 0; y < size; ++y)
          for (int64_t x = 0; x < size; ++x) {
            if (d.mask.at(y, x) == lungs.at(y, x)) continue;
            far += std::none_of(moved.begin(), moved.end(), [&](const Vec2& p) {
              return std::hypot(p.x - static_cast<double>(x), p.y - static_cast<double>(y)) <= limit + 1;
            });
          }
        CHECK(far == 0);
        for (const RegionEdit& r : d.regions) {
          windows.insert(r.windows.size());
          for (const MovedWindow& w : r.windows) {
            CHECK(std::abs(w.distance) <= limit);
            CHECK(std::abs(w.distance) >= limit / 15);
          }
        }
      }
      CHECK(farthest > limit / 2);  // and the bound is not met by hardly moving at all
      CHECK(windows.contains(1));
      CHECK(windows.contains(3));
    }
  }
}

TEST_CASE("a positive distance grows a disc, a negative one shrinks it, rising and falling like sin^2") {
  BoundaryOptions o;
  o.min_windows = o.max_windows = 1;
  const Image round = disc(256, 128, 128, 60);
  for (uint64_t seed = 0; seed < 6; ++seed) {
    const Displacement d = displace_boundary(round, {}, o, Rng(seed));
    const MovedWindow w = d.regions.at(0).windows.at(0);
    const int64_t before = find_regions(round).area[0], after = find_regions(d.mask).area[0];
    CHECK((w.distance > 0) == (after > before));
    const auto move = [&](int64_t j) { return length(d.moves[static_cast<size_t>((w.first + j) % o.points)]); };
    // The B-spline averages neighbours by 1/6, 4/6, 1/6, which on a sinusoid of 26 steps costs 1 % of the swing.
    for (int64_t j = 2; j < 23; ++j) {
      const double hann = std::pow(std::sin(3.14159265 * static_cast<double>(j + 1) / 26), 2);
      CHECK(std::abs(move(j) - std::abs(w.distance) * hann) <= 0.02 * std::abs(w.distance));
    }
    CHECK(move(-3 + o.points) == 0);
    CHECK(move(27) == 0);
  }
}

TEST_CASE("each guard refuses what it is for, a bounded number of times, and leaves the region as it was") {
  const Image round = disc(256, 128, 128, 60);
  const auto refused = [&](const Image& mask, const Image& protected_region, const BoundaryOptions& o) {
    const Displacement d = displace_boundary(mask, protected_region, o, Rng(5));
    CHECK_FALSE(d.changed());
    CHECK(d.mask.pixels == mask.pixels);
    CHECK(d.regions.at(0).windows.empty());
    CHECK(d.regions[0].dice == 1);
    return d.regions[0];
  };
  BoundaryOptions o;
  o.min_dice = 0.9999;
  CHECK(refused(round, {}, o).refusal == Refusal::dice);
  CHECK(refused(round, {}, o).attempts == 20);
  o = {}, o.max_area_change = 0, o.attempts = 3;
  CHECK(refused(round, {}, o).refusal == Refusal::area);
  CHECK(refused(round, {}, o).attempts == 3);
  CHECK(refused(round, draw(256, 256, [](int64_t, int64_t) { return true; }), {}).refusal == Refusal::protected_region);
  CHECK(refused(disc(256, 128, 128, 5), {}, {}).refusal == Refusal::too_small);
  o = {}, o.min_px = 0, o.max_px = 0.01;
  CHECK(refused(round, {}, o).refusal == Refusal::unchanged);
  // A bar 4 pixels wide: a dent of 7 pixels would pass through the other side.
  const Image bar = draw(256, 256, [](int64_t y, int64_t x) { return y >= 100 && y < 104 && x >= 20 && x < 236; });
  std::set<Refusal> seen;
  o = {}, o.min_px = 14.5, o.attempts = 1, o.min_dice = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const Displacement d = displace_boundary(bar, {}, o, Rng(seed));
    seen.insert(d.regions.at(0).refusal);
    CHECK(find_regions(d.mask).area.size() == 1);
  }
  CHECK(seen.contains(Refusal::self_intersection));
  // The picture's frame: nothing can move out of it, dents are still possible.
  const Image half = draw(128, 128, [](int64_t, int64_t x) { return x < 64; });
  seen.clear();
  for (uint64_t seed = 0; seed < 40; ++seed) seen.insert(displace_boundary(half, {}, o, Rng(seed)).regions[0].refusal);
  CHECK(seen.contains(Refusal::frame));
  CHECK(seen.contains(Refusal::none));
}

TEST_CASE("regions stay apart and holes stay open") {
  const Image pair = draw(
      256, 256, [](int64_t y, int64_t x) { return y > 40 && y < 210 && x > 40 && x < 210 && x != 128 && x != 129; });
  int refusals = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    BoundaryOptions o;
    o.attempts = 1;
    const Displacement d = displace_boundary(pair, {}, o, Rng(seed));
    CHECK(find_regions(d.mask).area.size() == 2);
    for (const RegionEdit& r : d.regions) refusals += r.refusal == Refusal::pieces;
  }
  CHECK(refusals > 0);
  const Image ring = draw(256, 256, [](int64_t y, int64_t x) {
    const double radius = std::hypot(static_cast<double>(y - 128), static_cast<double>(x - 128));
    return radius <= 80 && radius > 40;
  });
  for (uint64_t seed = 0; seed < 5; ++seed) {
    const Displacement d = displace_boundary(ring, {}, {}, Rng(seed));
    CHECK(d.changed());
    for (int64_t y = 89; y < 168; ++y) CHECK(d.mask.at(y, 128) == 0);
  }
}

TEST_CASE("warp: a picture of the mask becomes a picture of the edited mask; far away no pixel changes") {
  const Image lungs = phantom("normal", 256).lungs;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Displacement d = displace_boundary(lungs, {}, {}, Rng(seed));
    const Image warped = warp_to_boundary(lungs, d, {}, {});
    Image cut = warped;
    for (float& v : cut.pixels) v = v >= 0.5f ? 1.0f : 0.0f;
    // What is left is the rounding of two outlines to pixels: at most one pixel along the moved stretches.
    CHECK(hausdorff(bits(cut), bits(d.mask), 256, 256).max <= std::sqrt(2.0));
    CHECK(dice(cut, d.mask) > dice(lungs, d.mask));
    CHECK(warp_to_boundary(lungs, {.mask = lungs, .regions = {}, .points = {}, .moves = {}, .spacing = 0}, {}, {})
              .pixels == lungs.pixels);
    Image ramp(256, 256);
    for (int64_t y = 0; y < 256; ++y)
      for (int64_t x = 0; x < 256; ++x) ramp.at(y, x) = static_cast<float>(x + y) / 512;
    const Image bent = warp_to_boundary(ramp, d, {}, {});
    const std::vector<double> away = squared_distance_transform(outline(bits(d.mask), 256, 256), 256, 256);
    int64_t near = 0, far = 0;
    for (size_t i = 0; i < away.size(); ++i) (away[i] < 22.5 * 22.5 ? near : far) += bent.pixels[i] != ramp.pixels[i];
    CHECK(near > 0);
    CHECK(far == 0);
  }
}

TEST_CASE("sampled infill takes each side's own intensities") {
  const Image before = disc(128, 64, 64, 30), after = disc(128, 64, 68, 30);
  Image image(128, 128);
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = before.pixels[i] != 0 ? 0.25f : 0.75f;
  InfillOptions o{.kind = Infill::sample, .blur_px = 0};
  const Image filled = sample_infill(image, before, after, o, Rng(1));
  for (size_t i = 0; i < image.pixels.size(); ++i) CHECK(filled.pixels[i] == (after.pixels[i] != 0 ? 0.25f : 0.75f));
  o.blur_px = 1;
  const Image blurred = sample_infill(image, before, after, o, Rng(1));
  for (size_t i = 0; i < image.pixels.size(); ++i)
    if (before.pixels[i] == after.pixels[i]) CHECK(blurred.pixels[i] == image.pixels[i]);
  CHECK(blurred.pixels != filled.pixels);
}

TEST_CASE("intensity by hand: affine, literal and histogram") {
  // Ten columns: in the mask half the pixels are 0.2 and half 0.4, so mu = 0.3 and sigma = 0.1.
  const Image mask = draw(8, 10, [](int64_t, int64_t x) { return x < 6; });
  Image image(8, 10);
  for (int64_t y = 0; y < 8; ++y)
    for (int64_t x = 0; x < 10; ++x) image.at(y, x) = x >= 6 ? 0.9f : x % 2 ? 0.2f : 0.4f;
  const IntensityHistogram region = histogram_inside(image, mask, {});
  CHECK(region.mean() == doctest::Approx(0.3));
  CHECK(region.std() == doctest::Approx(0.1));
  IntensityOptions o;
  o.edge_px = 0;
  IntensityEdit e = at_corner();
  Image out = edit_intensity(image, mask, {}, e, region, {}, o);
  CHECK(out.at(3, 0) == doctest::Approx(0.3 * 1.25 + 0.1 * 1.4));
  CHECK(out.at(3, 1) == doctest::Approx(0.3 * 1.25 - 0.1 * 1.4));
  CHECK(out.at(3, 7) == 0.9f);

  e.mode = IntensityMode::literal;
  e.alpha = 1.4, e.beta = 2;  // uniform in 0.42 +- 0.2
  out = edit_intensity(image, mask, {}, e, region, {}, o);
  float low = 1, high = 0;
  for (int64_t y = 0; y < 8; ++y)
    for (int64_t x = 0; x < 6; ++x) low = std::min(low, out.at(y, x)), high = std::max(high, out.at(y, x));
  CHECK((low >= 0.22f && low < 0.30f && high <= 0.6201f && high > 0.54f));
  CHECK(out.at(3, 7) == 0.9f);
  e.alpha = 5, e.beta = 2;  // 1.5 +- 0.2: all of it clips
  CHECK(edit_intensity(image, mask, {}, e, region, {}, o).at(3, 0) == 1.0f);

  e = {.mode = IntensityMode::histogram,
       .alpha = 0,
       .beta = 0,
       .gain_mean = 0,
       .gain_contrast = 0,
       .blend = 1,
       .key = 0};
  CHECK(edit_intensity(image, mask, {}, e, region, region, o).pixels == image.pixels);  // towards itself
  const IntensityHistogram donor({0.6f, 0.8f});
  e.blend = 0.5;  // rank 1/4 of the region and of the donor: 0.2 and 0.6; rank 3/4: 0.4 and 0.8
  out = edit_intensity(image, mask, {}, e, region, donor, o);
  CHECK(out.at(3, 1) == doctest::Approx(0.4));
  CHECK(out.at(3, 0) == doctest::Approx(0.6));
  CHECK_THROWS_WITH_AS(edit_intensity(image, mask, {}, e, region, {}, o),
                       "intensity: mode histogram needs the histogram of another image", Error);
}

TEST_CASE("an intensity edit ramps across the mask's boundary and beside the protected region") {
  // 64 pixels a side: lengths shrink by 8. The edit adds 0.25 mu = 0.1 everywhere.
  const Image mask = draw(64, 64, [](int64_t, int64_t x) { return x < 32; });
  const Image spot = draw(64, 64, [](int64_t y, int64_t x) { return y == 32 && x == 10; });
  Image image(64, 64);
  std::fill(image.pixels.begin(), image.pixels.end(), 0.4f);
  IntensityOptions o;
  o.edge_px = 32, o.protected_px = 32;
  const Image out = edit_intensity(image, mask, spot, at_corner(), histogram_inside(image, mask, spot), {}, o);
  const auto share = [&](int64_t y, int64_t x) { return (out.at(y, x) - 0.4) / 0.1; };
  const double edge[6] = {1, 0.875, 0.625, 0.375, 0.125, 0};
  for (int64_t k = 0; k < 6; ++k) CHECK(share(5, 29 + k) == doctest::Approx(edge[k]).epsilon(1e-5));
  for (int64_t k = 0; k < 6; ++k)
    CHECK(share(32, 10 + k) == doctest::Approx(std::min(1.0, static_cast<double>(k) / 4)).epsilon(1e-5));
}

TEST_CASE("intensity draws lie on the printed grid and reach both ends; a histogram inverts its ranks") {
  std::set<int64_t> alphas, betas;
  for (uint64_t i = 0; i < 2000; ++i) {
    const IntensityEdit e = sample(IntensityOptions(), Rng(i));
    const double a = (e.alpha - 1) / 0.2, b = (e.beta - 2) / 0.2;
    CHECK(std::abs(a - std::round(a)) < 1e-9);
    CHECK(std::abs(b - std::round(b)) < 1e-9);
    alphas.insert(std::llround(a)), betas.insert(std::llround(b));
    CHECK(e.gain_mean == doctest::Approx((e.alpha - 3) / 8));
    CHECK(e.gain_contrast == doctest::Approx((e.beta - 6) / 10));
  }
  CHECK((alphas.size() == 21 && *alphas.begin() == 0 && *alphas.rbegin() == 20));
  CHECK((betas.size() == 41 && *betas.begin() == 0 && *betas.rbegin() == 40));
  const IntensityHistogram h({0.5f, 0.1f, 0.9f, 0.3f});
  for (const float v : {0.1f, 0.3f, 0.5f, 0.9f}) CHECK(h.quantile(h.cdf(v)) == v);
  CHECK(h.quantile(0) == 0.1f);
  CHECK(h.quantile(1) == 0.9f);
  CHECK(h.quantile(0.5) == doctest::Approx(0.4));
}

TEST_CASE("disease keeps its bytes, its mask and its place") {
  for (const char* label : {"nodule", "opacity"}) {
    EditBase base = base_of(phantom(label, 128), label);
    base.donor = IntensityHistogram({0.1f, 0.2f, 0.7f});
    std::vector<EditOptions> all(4);
    all[1] = paper_edits();
    all[2].intensity.mode = IntensityMode::histogram;
    all[3].infill.kind = Infill::sample;
    for (EditOptions& o : all) {
      o.boundary_share = 1, o.intensity_share = 1, o.rigid_share = 0;
      for (const EditedMask& e : edit_masks(base, 8, 11, o)) {
        CHECK(e.record.edited());
        CHECK(e.image.pixels != base.image.pixels);
        CHECK(e.protected_region.pixels == base.protected_region.pixels);
        int64_t touched = 0;
        for (size_t i = 0; i < e.mask.pixels.size(); ++i) {
          if (base.protected_region.pixels[i] == 0) continue;
          touched += e.image.pixels[i] != base.image.pixels[i] || e.mask.pixels[i] != base.mask.pixels[i];
        }
        CHECK(touched == 0);
      }
    }
  }
}

TEST_CASE("windows keep their distance from the protected region") {
  const EditBase base = base_of(phantom("opacity", 128), "o");
  const std::vector<double> away = squared_distance_transform(bits(base.protected_region), 128, 128);
  const auto rounded = [](double v) { return std::clamp<int64_t>(std::llround(v), 0, 127); };
  double nearest = 1e9;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Displacement d = displace_boundary(base.mask, base.protected_region, {}, Rng(seed));
    for (size_t i = 0; i < d.moves.size(); ++i) {
      if (length(d.moves[i]) < 0.05) continue;  // the spline reaches one point beyond the window, by next to nothing
      const Vec2 p = {d.points[i].x - d.moves[i].x, d.points[i].y - d.moves[i].y};  // where it was
      nearest = std::min(nearest, std::sqrt(away[static_cast<size_t>(rounded(p.y) * 128 + rounded(p.x))]));
    }
  }
  CHECK(nearest > 30.0 * 128 / 512 - 1);
  CHECK(nearest < 30.0 * 128 / 512 + 3);  // and they do come that near
}

TEST_CASE("rigid edits move image, mask and protected region together and cut nothing of the disease") {
  EditOptions o;
  o.boundary_share = o.intensity_share = 0, o.rigid_share = 1;
  EditBase base{.id = "b",
                .image = disc(64, 30, 20, 12),
                .mask = disc(64, 30, 20, 12),
                .protected_region = disc(64, 7, 56, 6),
                .donor = {}};
  EditOptions mirror = o;
  mirror.rigid = {.flip = 1, .rotate_deg = 0, .shift = 0, .scale = 0};
  const EditedMask m = edit_mask(base, 0, 1, mirror);
  for (int64_t y = 0; y < 64; ++y)
    for (int64_t x = 0; x < 64; ++x) {
      CHECK(m.mask.at(y, x) == base.mask.at(y, 63 - x));
      CHECK(m.image.at(y, x) == base.image.at(y, 63 - x));
      CHECK(m.protected_region.at(y, x) == base.protected_region.at(y, 63 - x));
    }
  EditBase low = base;  // its lowest rows leave the picture when it moves down
  low.mask = low.image = draw(64, 64, [](int64_t y, int64_t x) { return y >= 38 && y < 62 && x >= 20 && x < 44; });
  low.protected_region = Image();
  for (const EditedMask& e : edit_masks(low, 40, 2, o)) {
    const double z = e.record.rigid.value().zoom;
    CHECK(static_cast<double>(find_regions(e.mask).area.at(0)) >= z * z * 576 * 0.95);
  }
  const double spot = static_cast<double>(find_regions(base.protected_region).area.at(0));
  std::set<double> angles;
  for (const EditedMask& e : edit_masks(base, 60, 2, o)) {
    if (e.record.rigid_refused) continue;
    REQUIRE(e.record.rigid);
    angles.insert(e.record.rigid->angle);
    // Scaled by z the disc of radius 6 has z^2 times the pixels, give or take a third of those on its edge.
    const double z = e.record.rigid->zoom, now = static_cast<double>(find_regions(e.protected_region).area.at(0));
    CHECK(std::abs(now - z * z * spot) <= z * 2 * 3.14 * 6 / 3);
    // Image and mask were the same picture; nearest and bilinear agree but for the rounding at the edge.
    int64_t apart = 0;
    for (size_t i = 0; i < e.mask.pixels.size(); ++i) apart += std::abs(e.mask.pixels[i] - e.image.pixels[i]) > 0.75f;
    CHECK(apart == 0);
  }
  CHECK(angles.size() > 20);
  base.protected_region = draw(64, 64, [](int64_t, int64_t) { return true; });
  mirror.rigid = {.flip = 0, .rotate_deg = 0, .shift = 0.1, .scale = 0};
  const EditedMask stuck = edit_mask(base, 0, 1, mirror);
  CHECK(stuck.record.rigid_refused);
  CHECK_FALSE(stuck.record.edited());
  CHECK(stuck.mask.pixels == base.mask.pixels);
  CHECK(stuck.image.pixels == base.image.pixels);
}

TEST_CASE("a variant depends on seed, case and number only") {
  const EditBase base = base_of(phantom("nodule", 96), "case 7");
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  const auto one = edit_masks(base, 8, 42);
  omp_set_num_threads(3);
  const auto three = edit_masks(base, 8, 42);
  omp_set_num_threads(before);
  REQUIRE(one.size() == 8);
  std::set<std::vector<float>> images;
  for (size_t i = 0; i < 8; ++i) {
    CHECK(same(one[i], three[i]));
    CHECK(one[i].record.variant == static_cast<int64_t>(i));
    images.insert(one[i].image.pixels);
  }
  CHECK(images.size() == 8);
  CHECK(same(edit_mask(base, 5, 42), one[5]));
  CHECK_FALSE(same(edit_mask(base, 5, 43), one[5]));
  EditBase other = base;
  other.id = "case 8";
  CHECK(edit_mask(other, 5, 42).image.pixels != one[5].image.pixels);
}

TEST_CASE("families are taken as often as asked, and the record says what was done") {
  EditBase base = base_of(phantom("normal", 64), "n");
  int boundary = 0, intensity = 0, rigid = 0;
  for (const EditedMask& e : edit_masks(base, 200, 3)) {
    boundary += !e.record.boundary.empty();
    intensity += e.record.intensity.has_value();
    rigid += e.record.rigid.has_value() || e.record.rigid_refused;
    CHECK(e.record.edited());
  }
  // Shares 0.8 (and 0.05 for a draw of none), 0.5 and 0.5; the standard deviation is at most sqrt(200 / 4) = 7.
  CHECK(std::abs(boundary - 170) < 29);
  CHECK(std::abs(intensity - 100) < 29);
  CHECK(std::abs(rigid - 100) < 29);
  EditOptions o;
  o.boundary_share = 0.01, o.rigid_share = o.intensity_share = 0;  // a draw of none takes the likeliest
  for (const EditedMask& e : edit_masks(base, 5, 3, o)) CHECK_FALSE(e.record.boundary.empty());
  o.boundary_share = o.rigid_share = o.intensity_share = 1;
  const auto j = nlohmann::json::parse(to_json(edit_mask(base, 4, 3, o).record));
  CHECK(j.at("base") == "n");
  CHECK(j.at("variant") == 4);
  CHECK(j.at("edited") == true);
  CHECK(j.at("boundary").at(0).at("windows").at(0).contains("distance"));
  CHECK(j.at("intensity").at("mode") == "affine");
  CHECK(j.at("rigid").contains("angle"));
  base.image = Image();  // masks only
  const EditedMask bare = edit_mask(base, 4, 3, o);
  CHECK(bare.image.pixels.empty());
  CHECK_FALSE(bare.record.intensity);
  CHECK(bare.mask.pixels == edit_mask(base_of(phantom("normal", 64), "n"), 4, 3, o).mask.pixels);
}

TEST_CASE("mask edit errors") {
  const Phantom p = phantom("normal", 64);
  EditBase base{.id = "c", .image = p.image, .mask = p.lungs, .protected_region = {}, .donor = {}};
  const auto fails = [](const EditBase& b, const EditOptions& o, const char* message) {
    CHECK_THROWS_WITH_AS(edit_mask(b, 0, 1, o), doctest::Contains(message), Error);
  };
  EditBase b = base;
  b.mask.pixels[5] = 0.5f;
  fails(b, {}, "mask edit: the mask of case 'c' has a pixel of 0.5; it must be 0 or 1");
  b.mask = Image(64, 64);
  fails(b, {}, "mask edit: the mask of case 'c' is empty");
  b = base, b.image = Image(32, 64);
  fails(b, {}, "mask edit: the image of case 'c' is 64x32x1, its mask 64x64");
  b = base, b.protected_region = Image(64, 32);
  fails(b, {}, "mask edit: the protected region of case 'c' is 32x64x1, its mask 64x64");
  EditOptions o;
  o.boundary_share = o.intensity_share = o.rigid_share = 0;
  fails(base, o, "mask edit: no family of edits is left for case 'c'");
  o = {}, o.rigid_share = 1.5;
  fails(base, o, "must be in [0,1], got 1.5");
  o = {}, o.intensity.mode = IntensityMode::histogram;
  fails(base, o, "mask edit: mode histogram needs a donor histogram for case 'c'");
  o = {}, o.boundary_share = 1, o.boundary.window = 150;
  fails(base, o, "boundary: 200 points in windows of 150");
  o = {}, o.infill.reach_px = 20;
  fails(base, o, "mask edit: infill.reach_px is 20; below 1.6 boundary.max_px = 24 the warp folds");
  o = {}, o.infill.protected_px = 31;
  fails(base, o, "mask edit: infill.protected_px is 31, more than boundary.protected_margin_px = 30");
  o = {}, o.boundary_share = 1, o.boundary.max_px = 40, o.infill.reach_px = 80;
  fails(base, o, "boundary: the protected margin of 30 px must exceed the displacement of 40");
  CHECK(edit_masks(base, 0, 1).empty());
}
TEST_SUITE_END();
