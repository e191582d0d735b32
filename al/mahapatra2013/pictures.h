// Drawing superpixels, outlines and queries on a film, for the page.
#pragma once
#include <array>
#include <cstdint>
#include <span>

#include "al/classic/superpixels.h"
#include "data/image.h"

namespace querent::al {

using Colour = std::array<float, 3>;
constexpr int64_t picture_scale = 4;  // pixels of a picture for one of the film

// The grey film enlarged, in colour: [4 H, 4 W, 3].
Image picture_of(const Image& film);
// Mixes a colour into the pixels where `mask` [H,W] is not 0; strength 1 replaces them.
void tint(Image& picture, std::span<const uint8_t> mask, Colour colour, float strength);
// The outline of a mask [H,W] and the borders of superpixels, one pixel of the picture wide.
void draw_outline(Image& picture, std::span<const uint8_t> mask, Colour colour);
void draw_borders(Image& picture, const Superpixels& s, Colour colour);

}  // namespace querent::al
