// A decoded picture: rows top to bottom, channels interleaved, 8 or 16 bits widened to float in [0,1].
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace querent {

struct Image {
  int64_t height = 0, width = 0, channels = 1;
  std::vector<float> pixels;  // [height, width, channels]

  Image() = default;
  Image(int64_t h, int64_t w, int64_t c = 1)
      : height(h), width(w), channels(c), pixels(static_cast<size_t>(h * w * c), 0.0f) {}
  float& at(int64_t y, int64_t x, int64_t c = 0) { return pixels[static_cast<size_t>((y * width + x) * channels + c)]; }
  float at(int64_t y, int64_t x, int64_t c = 0) const {
    return pixels[static_cast<size_t>((y * width + x) * channels + c)];
  }
};

}  // namespace querent
