// Superpixels: small connected regions that follow the edges of a picture, each about as large as the others. SLIC
// (Achanta et al., "SLIC Superpixels Compared to State-of-the-Art Superpixel Methods", IEEE TPAMI 2012).
//
//   D^2 = |colour difference|^2 + (distance / S)^2 m^2,   S = sqrt(pixels / k),   m: compactness
//
// k-means in (colour, x, y), five dimensions for Lab and three for a grey film, where a centre only looks at the pixels
// within S of it. No random numbers: the same picture gives the same superpixels.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "data/image.h"

namespace querent::al {

struct Superpixels {
  int64_t height = 0, width = 0, count = 0;
  std::vector<int32_t> label;  // [height,width] of 0..count-1, numbered in the order of their first pixels
};

struct SlicOptions {
  int64_t count = 200;      // about as many as there will be
  double compactness = 10;  // m, in grey values of a scale of 100: large is square, small follows every edge
  int64_t iterations = 10;
};
// Values in [0,1], any number of channels. Errors: options out of range, more superpixels than pixels.
Superpixels slic(const Image& image, const SlicOptions& options = {});

// Makes every label one 4-connected region: pieces of fewer than `smallest` pixels, and pixels labelled -1, join the
// region above or to the left of them; other pieces become regions of their own.
Superpixels connected(std::span<const int32_t> label, int64_t height, int64_t width, int64_t smallest);

// Two superpixels that touch, first < second, and how many pairs of 4-neighbours lie along their border; ascending.
struct Border {
  int64_t first = 0, second = 0, length = 0;
  bool operator==(const Border&) const = default;
};
std::vector<Border> borders(const Superpixels& s);

// What an annotator who looks at a whole superpixel says: 1 where more than half of its pixels are foreground.
std::vector<uint8_t> majority(const Superpixels& s, std::span<const uint8_t> mask);
// The mask [height,width] of superpixels labelled 0 or 1.
std::vector<uint8_t> paint(const Superpixels& s, std::span<const uint8_t> labels);

}  // namespace querent::al
