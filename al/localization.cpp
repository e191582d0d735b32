#include "al/localization.h"

#include <algorithm>

namespace querent::al {

double intersection(const Box& a, const Box& b) {
  const double width = std::min(a.right, b.right) - std::max(a.left, b.left),
               height = std::min(a.bottom, b.bottom) - std::max(a.top, b.top);
  return std::max(width, 0.0) * std::max(height, 0.0);
}

double iou(const Box& a, const Box& b) {
  const double common = intersection(a, b);
  return common / (a.area() + b.area() - common);
}

double iobb(const Box& detected, const Box& truth) { return intersection(detected, truth) / detected.area(); }

Image normalized(Image map) {
  const auto [low, high] = std::minmax_element(map.pixels.begin(), map.pixels.end());
  const float least = *low, range = *high - *low;
  for (float& v : map.pixels) v = range > 0 ? (v - least) / range : 0.0f;
  return map;
}

std::vector<Box> boxes_of(const Image& map, double level) {
  const auto height = map.height, width = map.width;
  std::vector<uint8_t> left(map.pixels.size());  // to be visited
  for (size_t i = 0; i < left.size(); ++i) left[i] = static_cast<double>(map.pixels[i]) >= level;
  std::vector<Box> boxes;
  std::vector<int64_t> open;
  const auto visit = [&](int64_t y, int64_t x) {
    if (y < 0 || x < 0 || y >= height || x >= width) return;
    const int64_t at = y * width + x;
    if (!left[static_cast<size_t>(at)]) return;
    left[static_cast<size_t>(at)] = 0;
    open.push_back(at);
  };
  for (int64_t start = 0; start < height * width; ++start) {
    visit(start / width, start % width);
    if (open.empty()) continue;
    int64_t x0 = width, y0 = height, x1 = 0, y1 = 0;
    while (!open.empty()) {
      const int64_t y = open.back() / width, x = open.back() % width;
      open.pop_back();
      x0 = std::min(x0, x), x1 = std::max(x1, x + 1), y0 = std::min(y0, y), y1 = std::max(y1, y + 1);
      for (int64_t dy = -1; dy <= 1; ++dy)
        for (int64_t dx = -1; dx <= 1; ++dx) visit(y + dy, x + dx);
    }
    const auto w = static_cast<double>(width), h = static_cast<double>(height);
    boxes.push_back({static_cast<double>(x0) / w, static_cast<double>(y0) / h, static_cast<double>(x1) / w,
                     static_cast<double>(y1) / h});
  }
  return boxes;
}

std::vector<Box> boxes_of_heat_map(const Image& map) {
  const Image heat = normalized(map);
  std::vector<Box> boxes = boxes_of(heat, 60.0 / 255);
  for (const Box& b : boxes_of(heat, 180.0 / 255))
    if (std::find(boxes.begin(), boxes.end(), b) == boxes.end()) boxes.push_back(b);
  return boxes;
}

Localization& Localization::operator+=(const Localization& other) {
  films += other.films, boxes += other.boxes, hits += other.hits, false_boxes += other.false_boxes;
  return *this;
}

Localization compare(std::span<const Box> detected, std::span<const Box> truth, Overlap overlap, double threshold) {
  const auto meet = [&](const Box& d, const Box& t) { return overlap(d, t) > threshold; };
  Localization r{.films = 1, .boxes = static_cast<int64_t>(truth.size())};
  for (const Box& t : truth)
    r.hits += std::any_of(detected.begin(), detected.end(), [&](const Box& d) { return meet(d, t); });
  for (const Box& d : detected)
    r.false_boxes += std::none_of(truth.begin(), truth.end(), [&](const Box& t) { return meet(d, t); });
  return r;
}

Localization compare(std::span<const FilmBoxes> films, Overlap overlap, double threshold, size_t shift) {
  Localization sum;
  for (size_t i = 0; i < films.size(); ++i)
    sum += compare(films[(i + shift) % films.size()].detected, films[i].truth, overlap, threshold);
  return sum;
}

}  // namespace querent::al
