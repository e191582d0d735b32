// Changes of the intensities inside a mask. Images and masks are [H,W,1], intensities in [0,1]; lengths named *_px are
// given at 512 pixels a side.
//
// The paper (as recalled, unverified) draws them from "a uniform distribution modelled as alpha mu + beta sigma", mu
// and sigma the mean and standard deviation of the region, alpha in [1,5], beta in [2,10], in steps of 0.2. Three
// modes:
//
//   affine     I' = mu (1 + a) + (I - mu) (1 + b);  a, b: the printed ranges scaled to [-0.25,0.25] and [-0.4,0.4]
//   literal    I' = alpha mu + beta sigma u, u uniform in [-1,1] for each pixel: the texture is lost and most of it
//   clips histogram  I' = (1-t) I + t Q_donor(F(I)): the region's histogram moves towards another image's along
//   quantiles
//
// then clipped to [0,1]. Protected pixels keep their bytes, and the change fades in beside them so that no patch shows.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include "data/image.h"
#include "tensor/rng.h"

namespace querent::al {

// The empirical distribution of a set of intensities.
class IntensityHistogram {
 public:
  IntensityHistogram() = default;
  explicit IntensityHistogram(std::vector<float> values);  // any order
  bool empty() const { return sorted_.empty(); }
  float quantile(double u) const;  // inverse of cdf, linear between the values; u in [0,1]
  double cdf(float value) const;   // mid-rank: half of the equal values count as below
  double mean() const { return mean_; }
  double std() const { return std_; }  // of the population: divided by the count

 private:
  std::vector<float> sorted_;
  double mean_ = 0, std_ = 0;
};
// Of the pixels inside the mask and outside the protected region (empty Image: none).
IntensityHistogram histogram_inside(const Image& image, const Image& mask, const Image& protected_region);

enum class IntensityMode { affine, literal, histogram };
std::string_view name_of(IntensityMode m);

struct IntensityOptions {
  IntensityMode mode = IntensityMode::affine;
  double alpha_min = 1, alpha_max = 5, beta_min = 2, beta_max = 10, step = 0.2;  // as printed
  double affine_mean = 0.25, affine_contrast = 0.4;                              // what the ranges are scaled to
  double blend_min = 0.25, blend_max = 1;                                        // t of mode histogram
  double edge_px = 4;        // width of the ramp across the mask's boundary; 0 = a step
  double protected_px = 16;  // and over this distance round the protected region
};

// One draw. The default-constructed value changes nothing.
struct IntensityEdit {
  IntensityMode mode = IntensityMode::affine;
  double alpha = 0, beta = 0;               // on the printed grid; 0 in mode histogram
  double gain_mean = 0, gain_contrast = 0;  // a, b of mode affine
  double blend = 0;                         // t of mode histogram
  uint64_t key = 0;                         // stream of u in mode literal
};
IntensityEdit sample(const IntensityOptions& o, Rng rng);

// `region`: mu, sigma and F, taken before any edit; `donor`: read in mode histogram only.
Image edit_intensity(const Image& image, const Image& mask, const Image& protected_region, const IntensityEdit& e,
                     const IntensityHistogram& region, const IntensityHistogram& donor, const IntensityOptions& o);

}  // namespace querent::al
