// What a pixel classifier sees of a pixel: the multi-scale local jet of van Ginneken, Stegmann and Loog (2006), i.e.
// Gaussian derivatives up to the second order, its grey value and its place.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "data/image.h"

namespace querent::al {

// Standard deviations in pixels: 1, 2, 4, 8, 16 of a film of 256 pixels a side, as far as they are 0.75 or more here.
std::vector<double> feature_scales(int64_t size);
int64_t feature_count(std::span<const double> scales);  // 3 + 6 per scale

// [H,W,D]: x and y in [0,1], the grey value, then for each scale L, Lx, Ly, Lxx, Lxy, Lyy per pixel. Grey values are
// first brought to mean 0 and standard deviation 1 over the film. Outside of the film the nearest pixel counts.
std::vector<float> pixel_features(const Image& film, std::span<const double> scales);

// The film under a Gaussian of standard deviation `sigma` pixels.
Image blur(const Image& film, double sigma);

}  // namespace querent::al
