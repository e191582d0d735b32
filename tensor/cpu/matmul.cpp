// A matrix product is a 1x1 convolution over M images of one pixel with K channels: the tile kernel of conv_rows.cpp
// runs on patches packed 14 rows at a time and on panels of 32 columns, so matrices need no second micro-kernel.
#include <algorithm>

#include "tensor/cpu/conv_job.h"
#include "tensor/kernels.h"

namespace querent::cpu {
namespace {

// [rows,cols] -> [cols,rows], in squares that stay in the cache.
Tensor transposed(const float* from, int64_t rows, int64_t cols) {
  constexpr int64_t side = 32;
  const Tensor t = Tensor::empty({cols, rows});
  float* to = t.data<float>();
#pragma omp parallel for schedule(static)
  for (int64_t c0 = 0; c0 < cols; c0 += side)
    for (int64_t r0 = 0; r0 < rows; r0 += side)
      for (int64_t c = c0; c < std::min(c0 + side, cols); ++c)
        for (int64_t r = r0; r < std::min(r0 + side, rows); ++r) to[c * rows + r] = from[r * cols + c];
  return t;
}

}  // namespace

void matmul(const Call& c) {
  const auto& at = c.attrs.as<MatmulAttrs>();
  const Tensor &a = c.in[0], &b = c.in[1], &y = c.out[0];
  const int64_t m = y.dim(0), n = y.dim(1), k = a.dim(at.transpose_a ? 0 : 1);
  if (y.numel() == 0) return;
  const Tensor rows = at.transpose_a ? transposed(a.data<float>(), k, m) : a;
  run_conv({.x = rows.data<float>(),
            .n = m,
            .h = 1,
            .w = 1,
            .x_channels = k,
            .x_first = 0,
            .in = k,
            .stride_h = 1,
            .stride_w = 1,
            .y = y.data<float>(),
            .rows = 1,
            .cols = 1,
            .y_h = 1,
            .y_w = 1,
            .y_channels = n,
            .y_first = 0,
            .out = n,
            .weights = b.data<float>(),
            .w_out = at.transpose_b ? k : 1,
            .w_in = at.transpose_b ? 1 : n,
            .taps = {{0, 0, 0}}});
}

}  // namespace querent::cpu
