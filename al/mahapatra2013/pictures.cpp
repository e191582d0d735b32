#include "al/mahapatra2013/pictures.h"

namespace querent::al {
namespace {

void set(Image& picture, int64_t y, int64_t x, Colour colour, float strength) {
  for (int64_t c = 0; c < 3; ++c) {
    float& v = picture.at(y, x, c);
    v += strength * (colour[static_cast<size_t>(c)] - v);
  }
}

// Colours the pixels whose right or lower neighbour belongs to another region.
template <class Region>
void draw_edges(Image& picture, Colour colour, const Region& region) {
  const auto at = [&](int64_t y, int64_t x) {
    return region[static_cast<size_t>(y / picture_scale * (picture.width / picture_scale) + x / picture_scale)];
  };
  for (int64_t y = 0; y < picture.height; ++y)
    for (int64_t x = 0; x < picture.width; ++x)
      if ((x + 1 < picture.width && at(y, x) != at(y, x + 1)) || (y + 1 < picture.height && at(y, x) != at(y + 1, x)))
        set(picture, y, x, colour, 1);
}

}  // namespace

Image picture_of(const Image& film) {
  Image picture(film.height * picture_scale, film.width * picture_scale, 3);
  for (int64_t y = 0; y < picture.height; ++y)
    for (int64_t x = 0; x < picture.width; ++x)
      for (int64_t c = 0; c < 3; ++c) picture.at(y, x, c) = film.at(y / picture_scale, x / picture_scale);
  return picture;
}

void tint(Image& picture, std::span<const uint8_t> mask, Colour colour, float strength) {
  for (int64_t y = 0; y < picture.height; ++y)
    for (int64_t x = 0; x < picture.width; ++x)
      if (mask[static_cast<size_t>(y / picture_scale * (picture.width / picture_scale) + x / picture_scale)])
        set(picture, y, x, colour, strength);
}

void draw_outline(Image& picture, std::span<const uint8_t> mask, Colour colour) { draw_edges(picture, colour, mask); }
void draw_borders(Image& picture, const Superpixels& s, Colour colour) { draw_edges(picture, colour, s.label); }

}  // namespace querent::al
