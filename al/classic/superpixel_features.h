// Superpixels as rows of numbers, after the features of Mahapatra et al. (MICCAI 2013), as recalled: intensity
// statistics, texture anisotropy, curvature asymmetry, and context. Of each superpixel
//
//   own       mean, sd, skewness and kurtosis of the intensity; the log of the texture's energy and its entropy over
//             orientations; mean absolute curvature and its asymmetry
//   position  x, y of its centre as shares of the sides
//   around    the mean of each own feature over the superpixels that touch it
//   context   the mean intensity of the superpixel that lies an eighth, and a quarter, of the side away in each of
//   eight
//             directions (at the border: the last one inside)
//
// Intensities are those of the film minus its mean, divided by its standard deviation.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "al/classic/superpixels.h"
#include "al/realism/feature_matrix.h"

namespace querent::al {

const std::vector<std::string>& superpixel_feature_names();

// [count, names]. The film is square, one channel; derivatives are central differences after a Gaussian of 1 pixel.
FeatureMatrix superpixel_features(const Image& film, const Superpixels& s);

struct Moments {
  double mean = 0, sd = 0, skewness = 0, kurtosis = 0;  // population; of constant values sd = skewness = kurtosis = 0
};
Moments moments(std::span<const double> values);

// The mean energy (g . u)^2 of gradients g = (x, y) along each of 8 directions u at 0, 22.5 ... 157.5 degrees, and the
// entropy of these energies over log 8: 1 when texture has no direction, less the more it has one. No gradient at
// all: 1.
struct Texture {
  double energy = 0, entropy = 1;  // energy: the sum over directions
};
Texture texture(std::span<const double> gx, std::span<const double> gy);

// Curvature of the line of equal intensity through a pixel, 1 / radius in pixels, positive round a dark middle:
// (Ixx Iy^2 - 2 Ix Iy Ixy + Iyy Ix^2) / (Ix^2 + Iy^2)^(3/2), cut to [-1, 1]; 0 where there is no gradient.
double curvature(double ix, double iy, double ixx, double ixy, double iyy);
// sum k / sum |k| in [-1, 1]: whether lines bend one way only.
double asymmetry(std::span<const double> curvatures);

}  // namespace querent::al
