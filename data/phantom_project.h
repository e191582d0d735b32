// From parts to pixels: the projector integrates attenuation along parallel rays, the finisher makes a film of it.
#pragma once
#include <vector>

#include "data/phantom_anatomy.h"

namespace querent::phantom {

// Where the picture lies on the anatomy's plane.
struct View {
  int64_t n;  // pixels a side
  double pixel, cx, cy, cos_roll, sin_roll;
  View(const Shot& s, int64_t side);
  std::array<double, 2> plane(double px,
                              double py) const;            // pixel coordinates (centre of the first pixel is 0.5) to cm
  std::array<double, 2> pixels(double x, double y) const;  // and back
};

// A picture-sized array of path lengths in cm.
struct Layer {
  int64_t n = 0;
  std::vector<float> v;
  explicit Layer(int64_t side) : n(side), v(static_cast<size_t>(side * side), 0.0f) {}
};

// Path length through a tube at pixels near it: united with the layer (the greater of both) or added to it.
enum class Join { unite, add };
void draw_tube(Layer&, const View&, const Tube&, Join);

struct Projection {
  std::vector<float> attenuation;  // integral of mu along the ray, no unit
  std::vector<uint8_t> lungs, whole_lungs, heart, clavicles, opacity;
};
Projection project_anatomy(const Anatomy&, const Patient&, const Shot&, const View&, const std::vector<Nodule>& extra);

// Scatter glare, detector blur, photon noise, film curve, border and marker. `grid` is the side of the projection, a
// multiple of `size`.
Image finish_film(const std::vector<float>& attenuation, const Shot&, const View&, int64_t size);

// Separable Gaussian of standard deviation sigma pixels with mirrored borders; fixed summation order.
void gaussian_blur(std::vector<float>& picture, int64_t n, double sigma);

}  // namespace querent::phantom
