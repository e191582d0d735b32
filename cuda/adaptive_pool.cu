// adaptive_avg_pool2d and its gradient, which gathers from the bins that contain the pixel.
#include "cuda/image.cuh"
#include "tensor/kernels.h"
#include "tensor/ops/resample.h"

namespace querent::cuda {

void adaptive_avg_pool2d(const Call& c) {
  const Image in(c.in[0].shape()), out(c.out[0].shape());
  const Values x = values(c, 0);
  for_each_result("adaptive_avg_pool2d", c, [=] __device__(int64_t i) {
    const Pixel p = out.pixel(i);
    const int64_t h0 = bin_first(p.h, in.h, out.h), h1 = bin_end(p.h, in.h, out.h);
    const int64_t w0 = bin_first(p.w, in.w, out.w), w1 = bin_end(p.w, in.w, out.w);
    float sum = 0;
    for (int64_t h = h0; h < h1; ++h) {
      for (int64_t w = w0; w < w1; ++w) sum += x[in.index(p.n, h, w, p.c)];
    }
    return sum / static_cast<float>((h1 - h0) * (w1 - w0));
  });
}

// Pixel h of `size` is in the bins floor(h out/size) .. ceil((h+1) out/size) - 1.
void adaptive_avg_pool2d_grad(const Call& c) {
  const Image in(c.out[0].shape()), out(c.in[0].shape());
  const Values dy = values(c, 0);
  for_each_result("adaptive_avg_pool2d_grad", c, [=] __device__(int64_t i) {
    const Pixel p = in.pixel(i);
    float sum = 0;
    for (int64_t h = bin_first(p.h, out.h, in.h); h < bin_end(p.h, out.h, in.h); ++h) {
      for (int64_t w = bin_first(p.w, out.w, in.w); w < bin_end(p.w, out.w, in.w); ++w) {
        const int64_t rows = bin_end(h, in.h, out.h) - bin_first(h, in.h, out.h);
        const int64_t columns = bin_end(w, in.w, out.w) - bin_first(w, in.w, out.w);
        sum += dy[out.index(p.n, h, w, p.c)] / static_cast<float>(rows * columns);
      }
    }
    return sum;
  });
}

}  // namespace querent::cuda
