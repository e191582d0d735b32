// A film with a square hole in the middle, simple ways to fill it, and how wrong they are.
#pragma once
#include <cstdint>

#include "data/image.h"

namespace querent::al {

// The centre is half of the film's side; the hole lies in it, `overlap` pixels from its border.
struct Hole {
  int64_t centre = 0, centre_side = 0;  // first row and column of the centre
  int64_t first = 0, side = 0;          // of the hole
};
Hole hole_of(int64_t size, int64_t overlap);  // error: no hole is left

Image with_hole(const Image& film, const Hole& hole, float fill);
// The film with the hole of another one of its size in it.
Image filled_from(const Image& film, const Image& other, const Hole& hole);
// Every pixel of the hole the mean of its four neighbours (the discrete Laplace equation), to about 1e-4 of a grey.
Image filled_from_border(const Image& film, const Hole& hole);
// Mean square difference of the pixels outside the hole.
double outside_difference(const Image& a, const Image& b, const Hole& hole);

struct FillError {        // of the pixels of the hole
  double l1 = 0, l2 = 0;  // mean |d|, mean d^2
  double psnr() const;    // -10 log10(l2), of a peak of 1; at most 100
};
FillError fill_error(const Image& filled, const Image& film, const Hole& hole);

}  // namespace querent::al
