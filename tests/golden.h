// Reading the fixtures of tests/golden: tensors in PyTorch's axis order, and the bound that each carries.
#pragma once
#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "layers/tensor_file.h"

namespace golden {

using namespace querent;

// [N,C,H,W] -> [N,H,W,C] (rank 4; others as they are), and back.
inline Tensor permuted(const Tensor& t, bool to_nhwc) {
  if (t.rank() != 4) return t;
  const Shape s = t.shape();
  const int64_t n = s[0], c = to_nhwc ? s[1] : s[3], h = to_nhwc ? s[2] : s[1], w = to_nhwc ? s[3] : s[2];
  const std::vector<double> in = t.host_f64();
  std::vector<double> out(in.size());
  for (int64_t i = 0; i < n; ++i)
    for (int64_t k = 0; k < c; ++k)
      for (int64_t y = 0; y < h; ++y)
        for (int64_t x = 0; x < w; ++x) {
          const auto nchw = static_cast<size_t>(((i * c + k) * h + y) * w + x),
                     nhwc = static_cast<size_t>(((i * h + y) * w + x) * c + k);
          to_nhwc ? out[nhwc] = in[nchw] : out[nchw] = in[nhwc];
        }
  return Tensor::from(std::span<const double>(out), to_nhwc ? Shape{n, h, w, c} : Shape{n, c, h, w}, t.dtype());
}
inline Tensor nhwc(const Tensor& t) { return permuted(t, true); }
inline Tensor nchw(const Tensor& t) { return permuted(t, false); }

struct Fixture {
  TensorFile file;
  nlohmann::json error;  // name -> largest distance of PyTorch's own float32 runs from its float64 run
  explicit Fixture(const std::string& name)
      : file(read_tensors(std::string(QUERENT_SOURCE_DIR) + "/tests/golden/" + name + ".safetensors")),
        error(nlohmann::json::parse(file.metadata.at("f32_error"))) {}

  // Asserts that `got` (PyTorch's axis order) equals the stored tensor. The fixture is float64 rounded to float32, so
  //   f64: half an ulp of the largest stored value, and 1e-12 of it for our own float64 rounding;
  //   f32: 8 times the distance of PyTorch's float32 runs (another order of summation is another sample of the same
  //        rounding error; the largest of a few hundred samples stays within a small factor of the largest of another
  //        few hundred) and 4 ulp of the largest value for tensors that those runs happened to hit exactly.
  // Returns distance / bound.
  // `noise`: what a value that is zero in exact arithmetic (a bias before a norm) may be in float64, times `measured`.
  double compare(const std::string& name, const Tensor& got, DType dtype, double noise = 1e-8) const {
    const std::vector<double> want = file.at(name).host_f64(), have = got.host_f64();
    CAPTURE(name);
    REQUIRE(want.size() == have.size());
    double largest = 0, distance = 0;
    for (size_t i = 0; i < want.size(); ++i) {
      if (!std::isfinite(have[i])) distance = INFINITY;
      largest = std::max(largest, std::abs(want[i]));
      distance = std::max(distance, std::abs(want[i] - have[i]));
    }
    const double ulp = 0x1p-23, measured = error.value(name, 0.0);
    const double bound =
        dtype == DType::f64 ? largest * (ulp / 2 + 1e-12) + measured * noise : 8 * measured + 4 * ulp * largest;
    CAPTURE(distance);
    CAPTURE(bound);
    CHECK(distance <= bound);
    return bound > 0 ? distance / bound : 0;
  }
};

}  // namespace golden
