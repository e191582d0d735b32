// Which pixels of x a pixel of y is made from: the one text that the reference and the CUDA kernels compile.
#pragma once
#include <algorithm>
#include <cstdint>

namespace querent {

// Linear upsampling: y[i] = (1 - high_weight) x[low] + high_weight x[high].
struct Source {
  int64_t low, high;
  double high_weight;
};
constexpr Source source(int64_t i, int64_t size, int64_t out, bool align_corners) {
  const double ratio = align_corners ? (out > 1 ? static_cast<double>(size - 1) / static_cast<double>(out - 1) : 0.0)
                                     : static_cast<double>(size) / static_cast<double>(out);
  const double s =
      align_corners ? static_cast<double>(i) * ratio : std::max(0.0, (static_cast<double>(i) + 0.5) * ratio - 0.5);
  const int64_t low = std::min(static_cast<int64_t>(s), size - 1);
  return {low, std::min(low + 1, size - 1), s - static_cast<double>(low)};
}

// Adaptive pooling: bin i of `out` covers the pixels bin_first .. bin_end-1 of `size`.
constexpr int64_t bin_first(int64_t i, int64_t size, int64_t out) { return i * size / out; }
constexpr int64_t bin_end(int64_t i, int64_t size, int64_t out) { return ((i + 1) * size + out - 1) / out; }

}  // namespace querent
