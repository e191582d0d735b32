// Where is the finding? Boxes from heat maps, and how they compare with true ones (ChestX-ray8, Wang et al. 2017,
// section 4.2).
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "data/image.h"

namespace querent::al {

struct Box {  // fractions of the film's width and height; y grows downwards
  double left = 0, top = 0, right = 0, bottom = 0;
  double area() const { return (right - left) * (bottom - top); }
  bool operator==(const Box&) const = default;
};
double intersection(const Box& a, const Box& b);
double iou(const Box& a, const Box& b);              // intersection over union
double iobb(const Box& detected, const Box& truth);  // intersection over the detected box

Image normalized(Image map);  // smallest value 0, largest 1; a flat map becomes 0
// The box round each 8-connected region of pixels >= level, in the order of their first pixels.
std::vector<Box> boxes_of(const Image& map, double level);
// Those of a heat map normalised to 0..255 and cut at 60 and at 180, as in the paper; no box twice.
std::vector<Box> boxes_of_heat_map(const Image& map);

struct Localization {
  int64_t films = 0, boxes = 0, hits = 0, false_boxes = 0;
  double accuracy() const { return static_cast<double>(hits) / static_cast<double>(boxes); }  // NaN without boxes
  double false_per_film() const { return static_cast<double>(false_boxes) / static_cast<double>(films); }
  Localization& operator+=(const Localization& other);
};
// One film: a true box is hit when overlap(detected, truth) > threshold for some detected box; a detected box that hits
// none is false.
using Overlap = double (*)(const Box& detected, const Box& truth);
Localization compare(std::span<const Box> detected, std::span<const Box> truth, Overlap overlap, double threshold);

struct FilmBoxes {
  std::vector<Box> truth, detected;
};
// Several films. With `shift`, the detected boxes are those of the film so many places on, cyclically: what luck hits.
Localization compare(std::span<const FilmBoxes> films, Overlap overlap, double threshold, size_t shift = 0);

}  // namespace querent::al
