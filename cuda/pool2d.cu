// max_pool2d, avg_pool2d and their gradients. One thread for each element of the result; neighbouring threads are
// neighbouring channels. A gradient gathers from the windows that contain the pixel, in their order: no atomics.
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
  const int64_t before = h + padding - kernel, last = (h + padding) / stride;
  return {before < 0 ? 0 : before / stride + 1, last + 1 < out ? last + 1 : out};
}

}  // namespace

void max_pool2d(const Call& c) {
  const auto a = c.attrs.as<Pool2dAttrs>();
  const Image in(c.in[0].shape()), out(c.out[0].shape());
  const Values x = values(c, 0);
  const Results y = results(c);
  auto* argmax = c.out[1].data<uint8_t>();
  for_each("max_pool2d", c, c.out[0].numel(), [=] __device__(int64_t i) {
    const Pixel p = out.pixel(i);
    const Range rows = pixels_of(p.h, a.kernel.h, a.stride.h, a.padding.h, in.h);
    const Range columns = pixels_of(p.w, a.kernel.w, a.stride.w, a.padding.w, in.w);
    float best = -INFINITY;
    int64_t where = 0;
    for (int64_t h = rows.begin; h < rows.end; ++h) {
      for (int64_t w = columns.begin; w < columns.end; ++w) {
        const float v = x[in.index(p.n, h, w, p.c)];
        if (!(v > best) && v == v) continue;  // NaN wins, so that it is seen
        best = v;
        where = (h - p.h * a.stride.h + a.padding.h) * a.kernel.w + w - p.w * a.stride.w + a.padding.w;
      }
    }
    y.set(i, best);
    argmax[i] = static_cast<uint8_t>(where);
  });
}

void max_pool2d_grad(const Call& c) {
  const auto a = c.attrs.as<PoolGradAttrs>().pool;
  const Image in(c.out[0].shape()), out(c.in[0].shape());
  const Values dy = values(c, 0);
  const auto* argmax = c.in[1].data<uint8_t>();
  for_each_result("max_pool2d_grad", c, [=] __device__(int64_t i) {
    const Pixel p = in.pixel(i);
    const Range rows = windows_of(p.h, a.kernel.h, a.stride.h, a.padding.h, out.h);
    const Range columns = windows_of(p.w, a.kernel.w, a.stride.w, a.padding.w, out.w);
    float sum = 0;
    for (int64_t h = rows.begin; h < rows.end; ++h) {
      for (int64_t w = columns.begin; w < columns.end; ++w) {
        const int64_t at = out.index(p.n, h, w, p.c);
        const int64_t position = (p.h - h * a.stride.h + a.padding.h) * a.kernel.w + p.w - w * a.stride.w + a.padding.w;
        if (argmax[at] == position) sum += dy[at];
      }
    }
    return sum;
  });
}

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
