// The radiograph that goes with a displaced boundary: what to show where a pixel changed sides.
// Images and masks are [H,W,1]; lengths named *_px are given at 512 pixels a side.
#pragma once
#include "al/synthesis/boundary.h"
#include "data/image.h"
#include "tensor/rng.h"

namespace querent::al {

enum class Infill {
  warp,   // the anatomy follows the boundary (default)
  sample  // changed pixels are drawn from the intensities of the side they changed to
};

struct InfillOptions {
  Infill kind = Infill::warp;
  double reach_px = 45;  // warp: fades to nothing at this distance from the boundary; sample: width of the outer band
  double protected_px = 25;  // warp: fades to nothing over this distance towards the protected region
  double blur_px = 1;        // sample: Gaussian over the changed pixels, in pixels of this picture; 0 = none
};

// new(q) = old(q - u(q)), bilinear, with
//   u(q) = sum_i w_i(q) d_i / sum_i w_i(q) * fade(distance to the new boundary / reach) * fade'(distance to protected)
// over the control points p_i that moved by d_i, w_i = exp(-|q - p_i|^2 / 2 s^2) with s the spacing of the points.
// Nothing moves inside the protected region (empty Image: none): its pixels keep their bytes.
Image warp_to_boundary(const Image& image, const Displacement& moved, const Image& protected_region,
                       const InfillOptions& o);

// Pixels newly inside are drawn from the intensities inside the old mask, pixels newly outside from the band round it
// ("a distribution identical to the original mask region"), then blurred so that the texture is continuous.
Image sample_infill(const Image& image, const Image& before, const Image& after, const InfillOptions& o, Rng rng);

}  // namespace querent::al
