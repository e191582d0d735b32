// A plausible change of a mask's boundary (Mahapatra et al., MICCAI 2018, "boundary displacement"): stretches of the
// outline are pushed in or out along the normal,
//
//   v'(s) = v(s) + sum_i B3(s N / L - i) d_i n_i ,     d_i = sign * U(min_px, max_px) * sin^2(pi (j+1) / (window+1))
//
// with s the arc length of outline vertex v, L the outline's length, N control points, B3 the uniform cubic B-spline,
// n_i the outward normal and j the place of point i in its window; d_i = 0 outside the windows. Because the B-spline
// carries the displacement and has local support, the outline outside the windows stays as it was to the last bit and
// nothing moves by more than max_px. Each region of the mask (each lung) is edited by itself.
//
// Lengths named *_px are given at 512 pixels a side and scaled by max(H, W) / 512.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include "al/synthesis/contour.h"
#include "data/image.h"
#include "tensor/rng.h"

namespace querent::al {

enum class Motion {
  window,  // one distance for a whole window: smooth bulges and dents (default)
  point    // a distance for each point, one sign for a window: ragged
};

struct BoundaryOptions {
  int64_t points = 200;                      // N, equally far apart along the outline
  int64_t window = 25;                       // contiguous points that move together
  int64_t min_windows = 1, max_windows = 3;  // per region; fewer where the protected region leaves no room
  double min_px = 1, max_px = 15;            // how far the middle of a window moves
  Motion motion = Motion::window;
  // Guards, for each region. A draw that breaks one is drawn again, at most `attempts` times in all.
  double min_dice = 0.7;         // of the region before and after
  double max_area_change = 0.3;  // |A'/A - 1|
  int64_t attempts = 20;
  double min_region = 0.002;        // smaller regions, as a fraction of the picture, stay as they are
  double protected_margin_px = 30;  // no control point this near to the protected region moves; more than max_px
};

// Why a region is as it was, or why its last draw was refused.
enum class Refusal {
  none,
  too_small,         // below min_region
  protected_region,  // no window fits beside the protected region, or the draw changed it
  frame,             // the outline left the picture
  self_intersection,
  pieces,  // the region fell apart or touched another
  dice,
  area,
  unchanged  // not a single pixel changed
};
std::string_view name_of(Refusal r);

struct MovedWindow {
  int64_t first = 0;    // control point
  double distance = 0;  // pixels of this picture, positive outwards; for Motion::point the mean
};
struct RegionEdit {
  int64_t area = 0;      // before, in pixels
  int64_t attempts = 0;  // draws made
  Refusal refusal = Refusal::none;
  double dice = 1;                   // before and after
  std::vector<MovedWindow> windows;  // empty when refused
};

struct Displacement {
  Image mask;                       // [H,W] of 0 and 1
  std::vector<RegionEdit> regions;  // in the order of their first pixel
  // The control points of all edited regions where they are now, and by how much they moved; what infill.h needs.
  std::vector<Vec2> points, moves;
  double spacing = 0;  // distance of neighbouring control points along the outline, the largest of all regions
  bool changed() const { return !points.empty(); }
};

// `protected_region`: [H,W], not 0 = must keep its label; an empty Image: none. Errors: sizes, options out of range.
Displacement displace_boundary(const Image& mask, const Image& protected_region, const BoundaryOptions& o, Rng rng);

double dice(const Image& a, const Image& b);  // both empty: 1

}  // namespace querent::al
