// Max-pooling: one task per output row, vectors over channels; the maximum and its place stay in registers while the
// window is read, so x is read once and y and argmax are written once. Backward: windows that do not overlap write each
// element of dx once (and everything, without clearing it first, where they tile the image); others add window by
// window, one image per task. All are bound by memory.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/cpu/pool2d.cpp"
#include <algorithm>
#include <limits>

#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>
#include "tensor/kernels.h"
#include "tensor/op_attrs.h"
#include "tensor/pool_attrs.h"

HWY_BEFORE_NAMESPACE();
namespace querent::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using DI = hn::RebindToSigned<D>;
using DB = hn::Rebind<uint8_t, D>;

struct Window {  // the part of a window that lies inside the image
  int64_t h0, w0, ha, hb, wa, wb;
};
Window window_at(const Pool2dAttrs& a, int64_t i, int64_t j, int64_t H, int64_t W) {
  const int64_t h0 = i * a.stride.h - a.padding.h, w0 = j * a.stride.w - a.padding.w;
  return {h0, w0, std::max<int64_t>(h0, 0), std::min(h0 + a.kernel.h, H), std::max<int64_t>(w0, 0),
          std::min(w0 + a.kernel.w, W)};
}

// Calls f(pixel index within the image, position in the window).
template <class F>
HWY_INLINE void each_pixel(const Window& s, int64_t kernel_w, int64_t W, F f) {
  for (int64_t h = s.ha; h < s.hb; ++h)
    for (int64_t w = s.wa; w < s.wb; ++w) f(h * W + w, static_cast<int32_t>((h - s.h0) * kernel_w + w - s.w0));
}

void MaxPool2d(const Call& c) {
  const auto& a = c.attrs.as<Pool2dAttrs>();
  const Tensor &tx = c.in[0], &ty = c.out[0];
  const int64_t H = tx.dim(1), W = tx.dim(2), C = tx.dim(3), oh = ty.dim(1), ow = ty.dim(2), rows = ty.dim(0) * oh;
  const float* x = tx.data<float>();
  float* y = ty.data<float>();
  uint8_t* argmax = c.out[1].data<uint8_t>();
#pragma omp parallel for schedule(static) if (ty.numel() > 16384)
  for (int64_t row = 0; row < rows; ++row) {
    const D d;
    const DI di;
    const DB db;
    const auto lanes = static_cast<int64_t>(hn::Lanes(d));
    const float* image = x + row / oh * H * W * C;
    for (int64_t j = 0; j < ow; ++j) {
      const Window s = window_at(a, row % oh, j, H, W);
      const int64_t to = (row * ow + j) * C;
      int64_t k = 0;
      for (; k + lanes <= C; k += lanes) {
        auto best = hn::Set(d, -std::numeric_limits<float>::infinity());
        auto at = hn::Zero(di);
        each_pixel(s, a.kernel.w, W, [&](int64_t pixel, int32_t position) HWY_ATTR {
          const auto v = hn::LoadU(d, image + pixel * C + k);
          const auto larger = hn::Or(hn::Gt(v, best), hn::IsNaN(v));  // NaN wins, so that it is seen
          best = hn::IfThenElse(larger, v, best);
          at = hn::IfThenElse(hn::RebindMask(di, larger), hn::Set(di, position), at);
        });
        hn::StoreU(best, d, y + to + k);
        hn::StoreU(hn::DemoteTo(db, at), db, argmax + to + k);
      }
      for (; k < C; ++k) {
        float best = -std::numeric_limits<float>::infinity();
        int32_t at = 0;
        each_pixel(s, a.kernel.w, W, [&](int64_t pixel, int32_t position) {
          const float v = image[pixel * C + k];
          if (v > best || v != v) best = v, at = position;
        });
        y[to + k] = best;
        argmax[to + k] = static_cast<uint8_t>(at);
      }
    }
  }
}

// dx[pixel] = (add: +=) dy where argmax names that pixel, else 0.
template <bool add>
HWY_INLINE void spread_window(const Window& s, int64_t kernel_w, int64_t W, int64_t C, const float* HWY_RESTRICT dy,
                              const uint8_t* HWY_RESTRICT at, float* HWY_RESTRICT image) {
  const D d;
  const DI di;
  const DB db;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t k = 0;
  for (; k + lanes <= C; k += lanes) {
    const auto g = hn::LoadU(d, dy + k);
    const auto place = hn::PromoteTo(di, hn::LoadU(db, at + k));
    each_pixel(s, kernel_w, W, [&](int64_t pixel, int32_t position) HWY_ATTR {
      float* to = image + pixel * C + k;
      const auto v = hn::IfThenElseZero(hn::RebindMask(d, hn::Eq(place, hn::Set(di, position))), g);
      hn::StoreU(add ? hn::Add(hn::LoadU(d, to), v) : v, d, to);
    });
  }
  for (; k < C; ++k) {
    each_pixel(s, kernel_w, W, [&](int64_t pixel, int32_t position) {
      float& to = image[pixel * C + k];
      const float v = at[k] == position ? dy[k] : 0.0f;
      to = add ? to + v : v;
    });
  }
}

void MaxPool2dGrad(const Call& c) {
  const auto& p = c.attrs.as<PoolGradAttrs>();
  const Pool2dAttrs& a = p.pool;
  const int64_t N = p.x[0], H = p.x[1], W = p.x[2], C = p.x[3], oh = c.in[0].dim(1), ow = c.in[0].dim(2);
  const float* dy = c.in[0].data<float>();
  const uint8_t* argmax = c.in[1].data<uint8_t>();
  float* dx = c.out[0].data<float>();
  const bool apart = a.stride.h >= a.kernel.h && a.stride.w >= a.kernel.w;  // no pixel belongs to two windows
  const bool tiles = apart && a.stride.h == a.kernel.h && a.stride.w == a.kernel.w && a.padding.h == 0 &&
                     a.padding.w == 0 && oh * a.stride.h == H && ow * a.stride.w == W;
  if (apart) {
    if (!tiles) c.out[0].fill(0);
#pragma omp parallel for schedule(static) collapse(2) if (c.out[0].numel() > 16384)
    for (int64_t n = 0; n < N; ++n) {
      for (int64_t i = 0; i < oh; ++i) {
        for (int64_t j = 0; j < ow; ++j) {
          const int64_t from = ((n * oh + i) * ow + j) * C;
          spread_window<false>(window_at(a, i, j, H, W), a.kernel.w, W, C, dy + from, argmax + from, dx + n * H * W * C);
        }
      }
    }
    return;
  }
#pragma omp parallel for schedule(static) if (c.out[0].numel() > 16384)
  for (int64_t n = 0; n < N; ++n) {
    float* image = dx + n * H * W * C;
    std::fill_n(image, H * W * C, 0.0f);
    for (int64_t i = 0; i < oh; ++i) {
      for (int64_t j = 0; j < ow; ++j) {
        const int64_t from = ((n * oh + i) * ow + j) * C;
        spread_window<true>(window_at(a, i, j, H, W), a.kernel.w, W, C, dy + from, argmax + from, image);
      }
    }
  }
}

}  // namespace querent::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace querent::cpu {
HWY_EXPORT(MaxPool2d);
HWY_EXPORT(MaxPool2dGrad);
void max_pool2d(const Call& c) { HWY_DYNAMIC_DISPATCH(MaxPool2d)(c); }
void max_pool2d_grad(const Call& c) { HWY_DYNAMIC_DISPATCH(MaxPool2dGrad)(c); }
}  // namespace querent::cpu
#endif
