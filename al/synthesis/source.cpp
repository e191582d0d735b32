#include "al/synthesis/source.h"

#include <algorithm>

#include "al/findings.h"
#include "data/masks.h"
#include "data/parallel.h"
#include "tensor/error.h"

namespace querent::al {
namespace {

constexpr double margin = 1.3;  // a nodule fades out beyond the radius that is written down

// Everything within `radius` of (x, y), all in fractions of the side, and at least the pixel there.
void mark_disc(Image& region, double x, double y, double radius) {
  const auto side = static_cast<double>(region.width);
  const double cx = x * side - 0.5, cy = y * side - 0.5, r = std::max(margin * radius * side, 0.75);
  const auto first = [&](double c) { return std::max<int64_t>(0, static_cast<int64_t>(c - r)); };
  const auto last = [&](double c) { return std::min(region.width - 1, static_cast<int64_t>(c + r + 1)); };
  for (int64_t i = first(cy); i <= last(cy); ++i) {
    for (int64_t j = first(cx); j <= last(cx); ++j) {
      const double dy = static_cast<double>(i) - cy, dx = static_cast<double>(j) - cx;
      if (dx * dx + dy * dy <= r * r) region.at(i, j) = 1;
    }
  }
}

// An empty Image when nothing says where the disease is.
Image disease_region(const data::Dataset& d, const data::Case& c, int64_t size) {
  Image region(size, size);
  for (const Nodule& n : nodules_of(c)) mark_disc(region, n.x, n.y, n.radius);
  const Image mask = opacity_mask(d, c);
  if (!mask.pixels.empty()) {
    const Image opacity = data::resize_mask(mask, size, size);
    for (size_t i = 0; i < region.pixels.size(); ++i) region.pixels[i] = std::max(region.pixels[i], opacity.pixels[i]);
  }
  const bool any = std::any_of(region.pixels.begin(), region.pixels.end(), [](float v) { return v > 0; });
  return any ? region : Image();
}

}  // namespace

FilmSource edited_films(uint64_t seed, const EditOptions& o) {
  return [seed, o](const EditBase& base, int64_t first, int64_t count) {
    std::vector<SyntheticFilm> films(static_cast<size_t>(count));
    data::parallel_for(count, [&](int64_t i) {
      EditedMask e = edit_mask(base, first + i, seed, o);
      films[static_cast<size_t>(i)] = {text("{}+{}", base.id, first + i), std::move(e.image), std::move(e.mask),
                                       std::move(e.record)};
    });
    return films;
  };
}

EditBase edit_base(const data::Loader& loader, int64_t index) {
  const data::Case& c = loader.dataset().cases.at(static_cast<size_t>(index));
  return {
      c.id, loader.image(index), loader.mask(index), disease_region(loader.dataset(), c, loader.options().size), {}};
}

}  // namespace querent::al
