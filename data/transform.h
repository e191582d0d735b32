// Geometry and intensity of one picture: resizing, normalisation, and augmentation that moves an image and its mask by
// one and the same map.
#pragma once
#include <cstdint>

#include "data/image.h"
#include "tensor/rng.h"

namespace querent::data {

// Each axis by itself: shrinking averages the area a new pixel covers, enlarging interpolates linearly between pixel
// centres; the same size returns the same bits.
Image resize(const Image& image, int64_t height, int64_t width);
// A 0/1 mask: resized like an image and cut at one half, so that it stays aligned with its image.
Image resize_mask(const Image& mask, int64_t height, int64_t width);

struct Normalization {
  float mean = 0.0f, std = 1.0f;  // x -> (x - mean) / std, on values in [0,1]
};

// How much to vary; everything 0 means not at all. Lengths are fractions of the image's side, so that one setting
// serves every size.
struct Augmentation {
  double flip = 0;                         // probability of a left-right flip
  double rotate_deg = 0;                   // angle in [-r, r]
  double shift = 0;                        // each axis in [-s, s] of the side
  double scale = 0;                        // zoom in [1/(1+s), 1+s]
  double elastic_alpha = 0;                // standard deviation of the displacement of control points
  double elastic_sigma = 0.15;             // distance of the control points
  double gain = 0, offset = 0, noise = 0;  // x -> x * (1 + g) + o + n; g, o uniform, n normal; x in [0,1]
  bool any() const {
    return flip > 0 || rotate_deg > 0 || shift > 0 || scale > 0 || elastic_alpha > 0 || gain > 0 || offset > 0 ||
           noise > 0;
  }
};
// The setting that suits chest films: no flip (the heart is on the left), small turns, shifts and zooms, mild warping.
Augmentation chest_augmentation();

// One draw. The default-constructed value changes nothing, bit for bit.
struct AugmentParams {
  bool flip = false;
  double angle = 0;       // radians, counter-clockwise on the screen
  double dx = 0, dy = 0;  // fraction of the side
  double zoom = 1;
  double elastic_alpha = 0, elastic_sigma = 0.15;
  double gain = 0, offset = 0, noise = 0;
  uint64_t key = 0;  // stream of the elastic field and of the noise
};
AugmentParams sample(const Augmentation& a, Rng rng);

// Moves image and mask (nullptr: none) by one inverse warp: bilinear for the image, nearest for the mask, 0 outside;
// then gain, offset and noise on the image, clamped to [0,1]. Both must have the same size.
void augment(Image& image, Image* mask, const AugmentParams& p);

}  // namespace querent::data
