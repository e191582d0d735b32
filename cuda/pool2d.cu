// max_pool2d, avg_pool2d and their gradients. Neighbouring threads are neighbouring channels, of which a thread of the
// former does a pack. A gradient gathers from the windows that contain the pixel, in their order: no atomics.
#include "cuda/image.cuh"
#include "tensor/kernels.h"
#include "tensor/pool_attrs.h"

namespace querent::cuda {
namespace {

struct Range {
  int64_t begin, end;
};
// The pixels of window i along an axis of `size`, and the windows of `out` that contain pixel h.
__host__ __device__ inline Range pixels_of(int64_t i, int64_t kernel, int64_t stride, int64_t padding, int64_t size) {
  const int64_t first = i * stride - padding;
  return {first > 0 ? first : 0, first + kernel < size ? first + kernel : size};
}
__host__ __device__ inline Range windows_of(int64_t h, int64_t kernel, int64_t stride, int64_t padding, int64_t out) {
  const int64_t before = h + padding - kernel, last = split(h + padding, stride).quotient;
  return {before < 0 ? 0 : split(before, stride).quotient + 1, last + 1 < out ? last + 1 : out};
}

}  // namespace

struct MaxPool {
  Pool2dAttrs a;
  Image in;
  template <int N, class T>
  __device__ void at(const Pixel& p, int64_t i, const T* x, T* y, uint8_t* argmax) const {
    const Range rows = pixels_of(p.h, a.kernel.h, a.stride.h, a.padding.h, in.h);
    const Range columns = pixels_of(p.w, a.kernel.w, a.stride.w, a.padding.w, in.w);
    Pack<float, N> best, where;
    for (int k = 0; k < N; ++k) best.v[k] = -INFINITY, where.v[k] = 0;
    for (int64_t h = rows.begin; h < rows.end; ++h) {
      for (int64_t w = columns.begin; w < columns.end; ++w) {
        const auto position =
            static_cast<float>((h - p.h * a.stride.h + a.padding.h) * a.kernel.w + w - p.w * a.stride.w + a.padding.w);
        const Pack<float, N> v = load<N>(x, in.index(p.n, h, w, p.c));
        for (int k = 0; k < N; ++k) {
          if (!(v.v[k] > best.v[k]) && v.v[k] == v.v[k]) continue;  // NaN wins, so that it is seen
          best.v[k] = v.v[k];
          where.v[k] = position;
        }
      }
    }
    store<N>(y, i, best);
    store<N>(argmax, i, where);
  }
};
struct MaxPoolGrad {
  Pool2dAttrs a;
  Image out;
  template <int N, class T>
  __device__ void at(const Pixel& p, int64_t i, const T* dy, const uint8_t* argmax, T* dx) const {
    const Range rows = windows_of(p.h, a.kernel.h, a.stride.h, a.padding.h, out.h);
    const Range columns = windows_of(p.w, a.kernel.w, a.stride.w, a.padding.w, out.w);
    Pack<float, N> sum{};
    for (int64_t h = rows.begin; h < rows.end; ++h) {
      for (int64_t w = columns.begin; w < columns.end; ++w) {
        const int64_t from = out.index(p.n, h, w, p.c);
        const auto position =
            static_cast<float>((p.h - h * a.stride.h + a.padding.h) * a.kernel.w + p.w - w * a.stride.w + a.padding.w);
        const Pack<float, N> where = load<N>(argmax, from), slope = load<N>(dy, from);
        for (int k = 0; k < N; ++k) sum.v[k] += where.v[k] == position ? slope.v[k] : 0;
      }
    }
    store<N>(dx, i, sum);
  }
};

template <class T>
void max_pool_as(const Call& c) {
  const MaxPool f{c.attrs.as<Pool2dAttrs>(), Image(c.in[0].shape())};
  const T* x = c.in[0].data<T>();
  for_each_pixel<T>("max_pool2d", c, f, x, c.out[0].data<T>(), c.out[1].data<uint8_t>());
}
void max_pool2d(const Call& c) { is_half(c.in[0]) ? max_pool_as<bf16>(c) : max_pool_as<float>(c); }

template <class T>
void max_pool_grad_as(const Call& c) {
  const MaxPoolGrad f{c.attrs.as<PoolGradAttrs>().pool, Image(c.in[0].shape())};
  const T* dy = c.in[0].data<T>();
  const uint8_t* argmax = c.in[1].data<uint8_t>();
  for_each_pixel<T>("max_pool2d_grad", c, f, dy, argmax, c.out[0].data<T>());
}
void max_pool2d_grad(const Call& c) { is_half(c.in[0]) ? max_pool_grad_as<bf16>(c) : max_pool_grad_as<float>(c); }

void avg_pool2d(const Call& c) {
  const auto a = c.attrs.as<Pool2dAttrs>();
  const Image in(c.in[0].shape()), out(c.out[0].shape());
  const Values x = values(c, 0);
  for_each_result("avg_pool2d", c, [=] __device__(int64_t i) {
    const Pixel p = out.pixel(i);
    const Range rows = pixels_of(p.h, a.kernel.h, a.stride.h, a.padding.h, in.h);
    const Range columns = pixels_of(p.w, a.kernel.w, a.stride.w, a.padding.w, in.w);
    float sum = 0;
    for (int64_t h = rows.begin; h < rows.end; ++h) {
      for (int64_t w = columns.begin; w < columns.end; ++w) sum += x[in.index(p.n, h, w, p.c)];
    }
    const int64_t inside = (rows.end - rows.begin) * (columns.end - columns.begin);
    return sum / static_cast<float>(a.count_padding ? a.kernel.h * a.kernel.w : inside);
  });
}

void avg_pool2d_grad(const Call& c) {
  const auto a = c.attrs.as<PoolGradAttrs>().pool;
  const Image in(c.out[0].shape()), out(c.in[0].shape());
  const Values dy = values(c, 0);
  for_each_result("avg_pool2d_grad", c, [=] __device__(int64_t i) {
    const Pixel p = in.pixel(i);
    const Range rows = windows_of(p.h, a.kernel.h, a.stride.h, a.padding.h, out.h);
    const Range columns = windows_of(p.w, a.kernel.w, a.stride.w, a.padding.w, out.w);
    float sum = 0;
    for (int64_t h = rows.begin; h < rows.end; ++h) {
      for (int64_t w = columns.begin; w < columns.end; ++w) {
        const Range u = pixels_of(h, a.kernel.h, a.stride.h, a.padding.h, in.h);
        const Range v = pixels_of(w, a.kernel.w, a.stride.w, a.padding.w, in.w);
        const int64_t inside = (u.end - u.begin) * (v.end - v.begin);
        sum += dy[out.index(p.n, h, w, p.c)] / static_cast<float>(a.count_padding ? a.kernel.h * a.kernel.w : inside);
      }
    }
    return sum;
  });
}

}  // namespace querent::cuda
