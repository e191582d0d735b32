// Max-pooling: one task per output row, vectors over channels (the compiler's), one read of x and one write of y and
// argmax. Backward gathers where windows do not overlap, else adds window by window, one image per task.
#include <algorithm>
#include <limits>

#include "tensor/kernels.h"
#include "tensor/op_attrs.h"
#include "tensor/pool_attrs.h"

namespace querent::cpu {

void max_pool2d(const Call& c) {
  const auto& a = c.attrs.as<Pool2dAttrs>();
  const Tensor &tx = c.in[0], &ty = c.out[0];
  const int64_t H = tx.dim(1), W = tx.dim(2), C = tx.dim(3), oh = ty.dim(1), ow = ty.dim(2), rows = ty.dim(0) * oh;
  const float* x = tx.data<float>();
  float* y = ty.data<float>();
  uint8_t* argmax = c.out[1].data<uint8_t>();
#pragma omp parallel for schedule(static) if (ty.numel() > 16384)
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t n = row / oh, h0 = row % oh * a.stride.h - a.padding.h;
    for (int64_t j = 0; j < ow; ++j) {
      const int64_t w0 = j * a.stride.w - a.padding.w;
      float* __restrict to = y + (row * ow + j) * C;
      uint8_t* __restrict at = argmax + (row * ow + j) * C;
      std::fill_n(to, C, -std::numeric_limits<float>::infinity());
      std::fill_n(at, C, uint8_t{0});
      for (int64_t h = std::max<int64_t>(h0, 0); h < std::min(h0 + a.kernel.h, H); ++h) {
        for (int64_t w = std::max<int64_t>(w0, 0); w < std::min(w0 + a.kernel.w, W); ++w) {
          const float* __restrict from = x + ((n * H + h) * W + w) * C;
          const auto position = static_cast<uint8_t>((h - h0) * a.kernel.w + w - w0);
          for (int64_t k = 0; k < C; ++k) {
            const bool larger = from[k] > to[k] || from[k] != from[k];  // NaN wins, so that it is seen
            to[k] = larger ? from[k] : to[k];
            at[k] = larger ? position : at[k];
          }
        }
      }
    }
  }
}

void max_pool2d_grad(const Call& c) {
  const auto& p = c.attrs.as<PoolGradAttrs>();
  const Pool2dAttrs& a = p.pool;
  const Tensor& tdy = c.in[0];
  const int64_t N = p.x[0], H = p.x[1], W = p.x[2], C = p.x[3], oh = tdy.dim(1), ow = tdy.dim(2);
  const float* dy = tdy.data<float>();
  const uint8_t* argmax = c.in[1].data<uint8_t>();
  float* dx = c.out[0].data<float>();
  const bool apart = a.stride.h >= a.kernel.h;  // no input row belongs to two rows of windows
  const int64_t bands = apart ? oh : 1;
#pragma omp parallel for schedule(static) collapse(2) if (c.out[0].numel() > 16384)
  for (int64_t n = 0; n < N; ++n) {
    for (int64_t band = 0; band < bands; ++band) {
      // Rows of dx that this task alone writes: up to where the next row of windows begins.
      const int64_t i0 = apart ? band : 0, i1 = apart ? band + 1 : oh;
      const int64_t first = band == 0 ? 0 : i0 * a.stride.h - a.padding.h;
      const int64_t last = i1 == oh ? H : i1 * a.stride.h - a.padding.h;
      std::fill(dx + (n * H + std::max<int64_t>(first, 0)) * W * C, dx + (n * H + std::max<int64_t>(last, 0)) * W * C,
                0.0f);
      for (int64_t i = i0; i < i1; ++i) {
        for (int64_t j = 0; j < ow; ++j) {
          const int64_t h0 = i * a.stride.h - a.padding.h, w0 = j * a.stride.w - a.padding.w;
          const float* __restrict g = dy + ((n * oh + i) * ow + j) * C;
          const uint8_t* __restrict at = argmax + ((n * oh + i) * ow + j) * C;
          for (int64_t h = std::max<int64_t>(h0, 0); h < std::min(h0 + a.kernel.h, H); ++h) {
            for (int64_t w = std::max<int64_t>(w0, 0); w < std::min(w0 + a.kernel.w, W); ++w) {
              float* __restrict to = dx + ((n * H + h) * W + w) * C;
              const auto position = static_cast<uint8_t>((h - h0) * a.kernel.w + w - w0);
              for (int64_t k = 0; k < C; ++k) to[k] += at[k] == position ? g[k] : 0.0f;
            }
          }
        }
      }
    }
  }
}

}  // namespace querent::cpu
