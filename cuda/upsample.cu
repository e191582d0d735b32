// upsample_nearest, upsample_bilinear and their gradients, which gather from the pixels made from x[n,h,w,c]. A thread
// does a pack of channels, so that what a place costs is shared.
#include "cuda/image.cuh"
#include "tensor/kernels.h"
#include "tensor/ops/resample.h"
#include "tensor/pool_attrs.h"

namespace querent::cuda {

struct Nearest {
  Pair f;
  Image in;
  template <int N, class T>
  __device__ void at(const Pixel& p, int64_t i, const T* x, T* y) const {
    store<N>(y, i, load<N>(x, in.index(p.n, split(p.h, f.h).quotient, split(p.w, f.w).quotient, p.c)));
  }
};
void upsample_nearest(const Call& c) {
  image_to_image("upsample_nearest", c, Nearest{c.attrs.as<SizeAttrs>().size, Image(c.in[0].shape())});
}

struct NearestGrad {
  Pair f;
  Image out;
  template <int N, class T>
  __device__ void at(const Pixel& p, int64_t i, const T* dy, T* dx) const {
    Pack<float, N> sum{};
    for (int64_t h = p.h * f.h; h < (p.h + 1) * f.h; ++h) {
      for (int64_t w = p.w * f.w; w < (p.w + 1) * f.w; ++w) {
        const Pack<float, N> slope = load<N>(dy, out.index(p.n, h, w, p.c));
        for (int k = 0; k < N; ++k) sum.v[k] += slope.v[k];
      }
    }
    store<N>(dx, i, sum);
  }
};
void upsample_nearest_grad(const Call& c) {
  image_to_image("upsample_nearest_grad", c, NearestGrad{c.attrs.as<SizeAttrs>().size, Image(c.in[0].shape())});
}

struct Bilinear {
  bool align;
  Image in, out;
  template <int N, class T>
  __device__ void at(const Pixel& p, int64_t i, const T* x, T* y) const {
    const Source r = source(p.h, in.h, out.h, align), s = source(p.w, in.w, out.w, align);
    const auto a = static_cast<float>(r.high_weight), b = static_cast<float>(s.high_weight);
    const Pack<float, N> low_low = load<N>(x, in.index(p.n, r.low, s.low, p.c)),
                         low_high = load<N>(x, in.index(p.n, r.low, s.high, p.c)),
                         high_low = load<N>(x, in.index(p.n, r.high, s.low, p.c)),
                         high_high = load<N>(x, in.index(p.n, r.high, s.high, p.c));
    Pack<float, N> result;
    for (int k = 0; k < N; ++k) {
      const float top = (1 - b) * low_low.v[k] + b * low_high.v[k];
      const float bottom = (1 - b) * high_low.v[k] + b * high_high.v[k];
      result.v[k] = (1 - a) * top + a * bottom;
    }
    store<N>(y, i, result);
  }
};
void upsample_bilinear(const Call& c) {
  image_to_image(
      "upsample_bilinear", c,
      Bilinear{c.attrs.as<SizeAttrs>().align_corners, Image(c.in[0].shape()), Image(c.out[0].shape())});
}

namespace {
struct Makers {
  int64_t begin, end;
};
// Pixels of `out` that pixel h of `size` may go into: those whose source lies in (h-1, h+1), and one more each way.
__host__ __device__ inline Makers made_from(int64_t h, int64_t size, int64_t out, bool align_corners) {
  if (align_corners && (size == 1 || out == 1)) return {0, out};
  const double step = align_corners ? static_cast<double>(out - 1) / static_cast<double>(size - 1)
                                    : static_cast<double>(out) / static_cast<double>(size);
  const double shift = align_corners ? 0 : 0.5;
  const double at = static_cast<double>(h) + shift;
  const auto begin = static_cast<int64_t>((at - 1) * step - shift) - 1,
             end = static_cast<int64_t>((at + 1) * step - shift) + 2;
  return {begin < 0 || h == 0 ? 0 : begin, end > out || h == size - 1 ? out : end};
}
// The weight of pixel h in a pixel with this source.
__host__ __device__ inline float weight_of(int64_t h, const Source& s) {
  return static_cast<float>((h == s.low ? 1 - s.high_weight : 0) + (h == s.high ? s.high_weight : 0));
}
}  // namespace

struct BilinearGrad {
  bool align;
  Image in, out;
  template <int N, class T>
  __device__ void at(const Pixel& p, int64_t i, const T* dy, T* dx) const {
    const Makers rows = made_from(p.h, in.h, out.h, align), columns = made_from(p.w, in.w, out.w, align);
    Pack<float, N> sum{};
    for (int64_t h = rows.begin; h < rows.end; ++h) {
      const float a = weight_of(p.h, source(h, in.h, out.h, align));
      if (a == 0) continue;
      for (int64_t w = columns.begin; w < columns.end; ++w) {
        const float b = weight_of(p.w, source(w, in.w, out.w, align));
        if (b == 0) continue;
        const Pack<float, N> slope = load<N>(dy, out.index(p.n, h, w, p.c));
        for (int k = 0; k < N; ++k) sum.v[k] += a * b * slope.v[k];
      }
    }
    store<N>(dx, i, sum);
  }
};
void upsample_bilinear_grad(const Call& c) {
  image_to_image(
      "upsample_bilinear_grad", c,
      BilinearGrad{c.attrs.as<BilinearGradAttrs>().up.align_corners, Image(c.out[0].shape()), Image(c.in[0].shape())});
}

}  // namespace querent::cuda
