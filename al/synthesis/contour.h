// The outline of a region as a closed polygon, in pixels: pixel (y, x) covers [x-1/2, x+1/2] x [y-1/2, y+1/2].
// Masks are [H,W,1] of 0 and 1. Regions are 4-connected, so two pixels that touch at a corner belong apart.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "data/image.h"

namespace querent::al {

struct Vec2 {  // a place or a displacement
  double x = 0, y = 0;
};
// Closed: the last vertex joins the first. Outlines run clockwise as seen on the screen.
using Contour = std::vector<Vec2>;

struct Regions {
  std::vector<int32_t> label;  // [H,W]: 0 background, 1.. in the order of their first pixel
  std::vector<int64_t> area;   // of region 1, 2, ... in pixels
  Image mask(int32_t region, int64_t height, int64_t width) const;
};
Regions find_regions(const Image& mask);

// The outer outline of a mask that is one region: the middle of every pixel side between it and the background.
// fill(outline) gives the region back exactly, with its holes closed.
Contour trace_outline(const Image& region);
Image fill(const Contour& polygon, int64_t height, int64_t width);  // even-odd rule at the pixel centres

std::vector<double> arc_lengths(const Contour& c);  // of each vertex from the first; one more entry: the whole length
Contour resample(const Contour& c, int64_t count);  // `count` points equally far apart along the polygon
// Unit vectors pointing outwards; the tangent is the chord from `reach` points before to `reach` points after.
std::vector<Vec2> outward_normals(const Contour& c, int64_t reach);
// Does any side that starts or ends at a vertex marked `moved` cross another side?
bool self_intersects(const Contour& c, std::span<const uint8_t> moved);

// The periodic uniform cubic B-spline with these control vectors at t, where one unit of t is one control vector. It
// stays in their convex hull and is zero where the four vectors round t are.
Vec2 periodic_spline(std::span<const Vec2> control, double t);

}  // namespace querent::al
