// adaptive_avg_pool2d: y[n,i,j,c] = mean of x over rows floor(i*H/H') .. ceil((i+1)*H/H') and columns likewise
// x [N,H,W,C] -> y [N,H',W',C].   global_avg_pool is the case H' = W' = 1, returned as [N,C].
#include "tensor/kernels.h"
#include "tensor/ops.h"
#include "tensor/ops/resample.h"
#include "tensor/run.h"
#include "tensor/visit.h"

namespace querent {
namespace {

// Calls f(index into y, index into x, pixels of the bin).
template <class F>
void for_each_pixel(const Shape& x, int64_t oh, int64_t ow, F f) {
  for (int64_t n = 0; n < x[0]; ++n)
    for (int64_t i = 0; i < oh; ++i)
      for (int64_t j = 0; j < ow; ++j) {
        const int64_t h0 = bin_first(i, x[1], oh), h1 = bin_end(i, x[1], oh), w0 = bin_first(j, x[2], ow),
                      w1 = bin_end(j, x[2], ow);
        for (int64_t h = h0; h < h1; ++h)
          for (int64_t w = w0; w < w1; ++w)
            for (int64_t c = 0; c < x[3]; ++c) {
              f(((n * oh + i) * ow + j) * x[3] + c, ((n * x[1] + h) * x[2] + w) * x[3] + c, (h1 - h0) * (w1 - w0));
            }
      }
}

std::vector<TensorSpec> infer(Inputs in, const Attrs& attrs) {
  const Pair size = attrs.as<SizeAttrs>().size;
  check(in[0].rank() == 4 && in[0].numel() > 0, "adaptive_avg_pool2d: x must be [N,H,W,C] and not empty, got {}",
        in[0]);
  check(size.h > 0 && size.w > 0, "adaptive_avg_pool2d: the size must be at least 1x1, got {}x{}", size.h, size.w);
  return {{{in[0].dim(0), size.h, size.w, in[0].dim(3)}, in[0].dtype()}};
}
Cost cost(Inputs in, const Attrs& attrs) {
  const double y = static_cast<double>(infer(in, attrs)[0].shape.numel());
  return {static_cast<double>(in[0].numel()) + y, (static_cast<double>(in[0].numel()) + y) * dtype_size(in[0].dtype())};
}
void ref(const Call& c) {
  visit_float(c.out[0].dtype(), [&]<class T>() {
    const T* x = c.in[0].data<T>();
    std::vector<double> y(static_cast<size_t>(c.out[0].numel()), 0.0);
    for_each_pixel(c.in[0].shape(), c.out[0].dim(1), c.out[0].dim(2), [&](int64_t iy, int64_t ix, int64_t count) {
      y[static_cast<size_t>(iy)] += static_cast<double>(x[ix]) / static_cast<double>(count);
    });
    for (size_t i = 0; i < y.size(); ++i) c.out[0].data<T>()[i] = static_cast<T>(y[i]);
  });
}
Tensor adaptive_avg_pool2d_grad(const Tensor& dy, const Shape& x);
Tensors grad(const GradCall& g) { return {adaptive_avg_pool2d_grad(g.dy[0], g.in[0].shape())}; }

std::vector<TensorSpec> infer_grad(Inputs in, const Attrs& attrs) {
  const Shape& x = attrs.as<ShapeAttrs>().shape;
  check(in[0].rank() == 4 && x.rank() == 4 && in[0].dim(0) == x[0] && in[0].dim(3) == x[3],
        "adaptive_avg_pool2d_grad: dy must be [N,H',W',C] with N and C of x {}; dy={}", x, in[0]);
  return {{x, in[0].dtype()}};
}
Cost cost_grad(Inputs in, const Attrs& attrs) {
  const double x = static_cast<double>(attrs.as<ShapeAttrs>().shape.numel());
  return {x + static_cast<double>(in[0].numel()), (x + static_cast<double>(in[0].numel())) * dtype_size(in[0].dtype())};
}
void ref_grad(const Call& c) {
  visit_float(c.out[0].dtype(), [&]<class T>() {
    const T* dy = c.in[0].data<T>();
    std::vector<double> dx(static_cast<size_t>(c.out[0].numel()), 0.0);
    for_each_pixel(c.out[0].shape(), c.in[0].dim(1), c.in[0].dim(2), [&](int64_t iy, int64_t ix, int64_t count) {
      dx[static_cast<size_t>(ix)] += static_cast<double>(dy[iy]) / static_cast<double>(count);
    });
    for (size_t i = 0; i < dx.size(); ++i) c.out[0].data<T>()[i] = static_cast<T>(dx[i]);
  });
}

std::vector<Case> cases() {
  return {
      {"uneven bins", {{{2, 7, 5, 3}}}, SizeAttrs{{3, 2}}},
      {"global", {{{2, 5, 6, 4}}}, SizeAttrs{1}},
      {"identity", {{{1, 3, 3, 2}}}, SizeAttrs{3}},
      {"enlarging", {{{1, 2, 3, 2}}}, SizeAttrs{{4, 5}}},
      {"rank", {{{2, 7, 5}}}, SizeAttrs{1}, "x must be [N,H,W,C]"},
      {"size", {{{2, 7, 5, 3}}}, SizeAttrs{{0, 1}}, "at least 1x1, got 0x1"},
  };
}
std::vector<Case> cases_grad() {
  return {
      {"uneven bins", {{{2, 3, 2, 3}}}, ShapeAttrs{{2, 7, 5, 3}}},
      {"global", {{{2, 1, 1, 4}}}, ShapeAttrs{{2, 5, 6, 4}}},
      {"enlarging", {{{1, 4, 5, 2}}}, ShapeAttrs{{1, 2, 3, 2}}},
      {"channels", {{{2, 3, 2, 3}}}, ShapeAttrs{{2, 7, 5, 4}}, "with N and C of x [2,7,5,4]"},
  };
}

}  // namespace

extern constinit const Op adaptive_avg_pool2d_op{
    .name = "adaptive_avg_pool2d",
    .formula = "y[n,i,j,c] = mean of x over rows floor(i*H/H') .. ceil((i+1)*H/H') and columns likewise",
    .inputs = {{"x", "[N,H,W,C]"}},
    .outputs = {{"y", "[N,H',W',C]"}},
    .infer = infer,
    .cost = cost,
    .grad = grad,
    .keep = {},
    .kernel = {.ref = ref, .cpu = nullptr, .cuda = cuda::adaptive_avg_pool2d},
    .cases = cases};
extern constinit const Op adaptive_avg_pool2d_grad_op{
    .name = "adaptive_avg_pool2d_grad",
    .formula = "dx[pixels of the bin] += dy[n,i,j,c] / pixels of the bin",
    .inputs = {{"dy", "[N,H',W',C]"}},
    .outputs = {{"dx", "[N,H,W,C]"}},
    .infer = infer_grad,
    .cost = cost_grad,
    .grad = no_gradient,
    .keep = {},
    .kernel = {.ref = ref_grad, .cpu = nullptr, .cuda = cuda::adaptive_avg_pool2d_grad},
    .cases = cases_grad};

Tensor adaptive_avg_pool2d(const Tensor& x, Pair size) { return run(adaptive_avg_pool2d_op, {x}, SizeAttrs{size})[0]; }
Tensor global_avg_pool(const Tensor& x) { return reshape(adaptive_avg_pool2d(x, 1), {x.dim(0), x.dim(3)}); }
namespace {
Tensor adaptive_avg_pool2d_grad(const Tensor& dy, const Shape& x) {
  return run(adaptive_avg_pool2d_grad_op, {dy}, ShapeAttrs{x})[0];
}
}  // namespace

}  // namespace querent
