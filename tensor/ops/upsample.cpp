// upsample_nearest: y[n, i, j, c] = x[n, i/fh, j/fw, c]                                  x [N,H,W,C] -> y
// [N,H*fh,W*fw,C] upsample_bilinear: y = the four neighbours of the source position, weighted linearly     x [N,H,W,C]
// -> y [N,H',W',C]
//   source of row i: (i + 1/2) H/H' - 1/2, at least 0; with align_corners i (H-1)/(H'-1). Columns likewise.
#include "tensor/kernels.h"
#include "tensor/ops.h"
#include "tensor/ops/resample.h"
#include "tensor/pool_attrs.h"
#include "tensor/run.h"
#include "tensor/visit.h"

namespace querent {
namespace {

// ---- nearest
std::vector<TensorSpec> infer_nearest(Inputs in, const Attrs& attrs) {
  const Pair f = attrs.as<SizeAttrs>().size;
  check(in[0].rank() == 4, "upsample_nearest: x must be [N,H,W,C], got {}", in[0]);
  check(f.h > 0 && f.w > 0, "upsample_nearest: the factor must be at least 1, got {}", Shape(f));
  return {{{in[0].dim(0), in[0].dim(1) * f.h, in[0].dim(2) * f.w, in[0].dim(3)}, in[0].dtype()}};
}
Cost cost_nearest(Inputs in, const Attrs& attrs) {
  const Pair f = attrs.as<SizeAttrs>().size;
  return {0, static_cast<double>(in[0].bytes()) * static_cast<double>(1 + f.h * f.w)};
}
template <class F>
void for_each_nearest(const Shape& y, Pair f, F call) {
  for (int64_t n = 0; n < y[0]; ++n)
    for (int64_t i = 0; i < y[1]; ++i)
      for (int64_t j = 0; j < y[2]; ++j)
        for (int64_t c = 0; c < y[3]; ++c) {
          call(((n * y[1] + i) * y[2] + j) * y[3] + c,
               ((n * (y[1] / f.h) + i / f.h) * (y[2] / f.w) + j / f.w) * y[3] + c);
        }
}
void ref_nearest(const Call& c) {
  visit_float(c.out[0].dtype(), [&]<class T>() {
    const T* x = c.in[0].data<T>();
    T* y = c.out[0].data<T>();
    for_each_nearest(c.out[0].shape(), c.attrs.as<SizeAttrs>().size, [&](int64_t iy, int64_t ix) { y[iy] = x[ix]; });
  });
}
Tensor upsample_nearest_grad(const Tensor& dy, Pair factor);
Tensors grad_nearest(const GradCall& g) { return {upsample_nearest_grad(g.dy[0], g.attrs.as<SizeAttrs>().size)}; }

std::vector<TensorSpec> infer_nearest_grad(Inputs in, const Attrs& attrs) {
  const Pair f = attrs.as<SizeAttrs>().size;
  check(in[0].rank() == 4 && f.h > 0 && f.w > 0 && in[0].dim(1) % f.h == 0 && in[0].dim(2) % f.w == 0,
        "upsample_nearest_grad: dy must be [N,H*fh,W*fw,C] with factor {}; dy={}", Shape(f), in[0]);
  return {{{in[0].dim(0), in[0].dim(1) / f.h, in[0].dim(2) / f.w, in[0].dim(3)}, in[0].dtype()}};
}
Cost cost_nearest_grad(Inputs in, const Attrs&) {
  return {static_cast<double>(in[0].numel()), 2.0 * static_cast<double>(in[0].bytes())};
}
void ref_nearest_grad(const Call& c) {
  visit_float(c.out[0].dtype(), [&]<class T>() {
    const T* dy = c.in[0].data<T>();
    std::vector<double> dx(static_cast<size_t>(c.out[0].numel()), 0.0);
    for_each_nearest(c.in[0].shape(), c.attrs.as<SizeAttrs>().size,
                     [&](int64_t iy, int64_t ix) { dx[static_cast<size_t>(ix)] += static_cast<double>(dy[iy]); });
    for (size_t i = 0; i < dx.size(); ++i) c.out[0].data<T>()[i] = static_cast<T>(dx[i]);
  });
}

// ---- bilinear
// Calls f(index into y, index into x, weight) for the four neighbours of every output element.
template <class F>
void for_each_bilinear(const Shape& x, const Shape& y, bool align_corners, F f) {
  for (int64_t n = 0; n < y[0]; ++n)
    for (int64_t i = 0; i < y[1]; ++i) {
      const Source r = source(i, x[1], y[1], align_corners);
      for (int64_t j = 0; j < y[2]; ++j) {
        const Source s = source(j, x[2], y[2], align_corners);
        const auto at = [&](int64_t h, int64_t w) { return ((n * x[1] + h) * x[2] + w) * x[3]; };
        const int64_t o = ((n * y[1] + i) * y[2] + j) * y[3];
        for (int64_t c = 0; c < y[3]; ++c) {
          f(o + c, at(r.low, s.low) + c, (1 - r.high_weight) * (1 - s.high_weight));
          f(o + c, at(r.low, s.high) + c, (1 - r.high_weight) * s.high_weight);
          f(o + c, at(r.high, s.low) + c, r.high_weight * (1 - s.high_weight));
          f(o + c, at(r.high, s.high) + c, r.high_weight * s.high_weight);
        }
      }
    }
}
std::vector<TensorSpec> infer_bilinear(Inputs in, const Attrs& attrs) {
  const Pair size = attrs.as<SizeAttrs>().size;
  check(in[0].rank() == 4 && in[0].numel() > 0, "upsample_bilinear: x must be [N,H,W,C] and not empty, got {}", in[0]);
  check(size.h > 0 && size.w > 0, "upsample_bilinear: the size must be at least 1x1, got {}x{}", size.h, size.w);
  return {{{in[0].dim(0), size.h, size.w, in[0].dim(3)}, in[0].dtype()}};
}
Cost cost_bilinear(Inputs in, const Attrs& attrs) {
  const double y = static_cast<double>(infer_bilinear(in, attrs)[0].shape.numel());
  return {8 * y, (y + static_cast<double>(in[0].numel())) * dtype_size(in[0].dtype())};
}
void ref_bilinear(const Call& c) {
  visit_float(c.out[0].dtype(), [&]<class T>() {
    const T* x = c.in[0].data<T>();
    std::vector<double> y(static_cast<size_t>(c.out[0].numel()), 0.0);
    for_each_bilinear(c.in[0].shape(), c.out[0].shape(), c.attrs.as<SizeAttrs>().align_corners,
                      [&](int64_t iy, int64_t ix, double weight) {
                        y[static_cast<size_t>(iy)] += weight * static_cast<double>(x[ix]);
                      });
    for (size_t i = 0; i < y.size(); ++i) c.out[0].data<T>()[i] = static_cast<T>(y[i]);
  });
}
Tensor upsample_bilinear_grad(const Tensor& dy, const BilinearGradAttrs& a);
Tensors grad_bilinear(const GradCall& g) {
  return {upsample_bilinear_grad(g.dy[0], {g.attrs.as<SizeAttrs>(), {g.in[0].dim(1), g.in[0].dim(2)}})};
}
std::vector<TensorSpec> infer_bilinear_grad(Inputs in, const Attrs& attrs) {
  const auto& a = attrs.as<BilinearGradAttrs>();
  check(in[0].rank() == 4 && in[0].dim(1) == a.up.size.h && in[0].dim(2) == a.up.size.w && a.x.h > 0 && a.x.w > 0,
        "upsample_bilinear_grad: dy must be [N,{},{},C]; dy={}", a.up.size.h, a.up.size.w, in[0]);
  return {{{in[0].dim(0), a.x.h, a.x.w, in[0].dim(3)}, in[0].dtype()}};
}
Cost cost_bilinear_grad(Inputs in, const Attrs& attrs) {
  const double x = static_cast<double>(infer_bilinear_grad(in, attrs)[0].shape.numel()),
               y = static_cast<double>(in[0].numel());
  return {8 * y, (x + y) * dtype_size(in[0].dtype())};
}
void ref_bilinear_grad(const Call& c) {
  visit_float(c.out[0].dtype(), [&]<class T>() {
    const T* dy = c.in[0].data<T>();
    std::vector<double> dx(static_cast<size_t>(c.out[0].numel()), 0.0);
    for_each_bilinear(c.out[0].shape(), c.in[0].shape(), c.attrs.as<BilinearGradAttrs>().up.align_corners,
                      [&](int64_t iy, int64_t ix, double weight) {
                        dx[static_cast<size_t>(ix)] += weight * static_cast<double>(dy[iy]);
                      });
    for (size_t i = 0; i < dx.size(); ++i) c.out[0].data<T>()[i] = static_cast<T>(dx[i]);
  });
}

std::vector<Case> cases_nearest() {
  return {
      {"double", {{{2, 3, 4, 5}}}, SizeAttrs{2}},
      {"uneven", {{{1, 3, 2, 1}}}, SizeAttrs{{3, 1}}},
      {"same", {{{1, 3, 5, 2}}}, SizeAttrs{1}},
      {"factor", {{{1, 3, 5, 2}}}, SizeAttrs{0}, "the factor must be at least 1"},
  };
}
std::vector<Case> cases_nearest_grad() {
  return {
      {"double", {{{2, 6, 8, 5}}}, SizeAttrs{2}},
      {"uneven", {{{1, 9, 2, 1}}}, SizeAttrs{{3, 1}}},
      {"same", {{{1, 3, 5, 2}}}, SizeAttrs{1}},
      {"size", {{{1, 3, 4, 2}}}, SizeAttrs{2}, "dy must be [N,H*fh,W*fw,C]"},
  };
}
std::vector<Case> cases_bilinear() {
  return {
      {"double", {{{2, 3, 4, 3}}}, SizeAttrs{{6, 8}}},
      {"aligned corners", {{{1, 3, 5, 2}}}, SizeAttrs{{7, 9}, true}},
      {"smaller", {{{1, 7, 5, 2}}}, SizeAttrs{{3, 2}}},
      {"one pixel", {{{1, 1, 1, 3}}}, SizeAttrs{{3, 2}, true}},
      {"to one row", {{{1, 3, 3, 1}}}, SizeAttrs{{1, 5}, true}},
      {"size", {{{1, 3, 5, 2}}}, SizeAttrs{0}, "at least 1x1"},
  };
}
std::vector<Case> cases_bilinear_grad() {
  return {
      {"double", {{{2, 6, 8, 3}}}, BilinearGradAttrs{{{6, 8}}, {3, 4}}},
      {"aligned corners", {{{1, 7, 9, 2}}}, BilinearGradAttrs{{{7, 9}, true}, {3, 5}}},
      {"smaller", {{{1, 3, 2, 2}}}, BilinearGradAttrs{{{3, 2}}, {7, 5}}},
      {"size", {{{1, 3, 2, 2}}}, BilinearGradAttrs{{{4, 2}}, {7, 5}}, "dy must be [N,4,2,C]"},
  };
}

}  // namespace

extern constinit const Op upsample_nearest_op{
    .name = "upsample_nearest",
    .formula = "y[n,i,j,c] = x[n, i/fh, j/fw, c]",
    .inputs = {{"x", "[N,H,W,C]"}},
    .outputs = {{"y", "[N,H*fh,W*fw,C]"}},
    .infer = infer_nearest,
    .cost = cost_nearest,
    .grad = grad_nearest,
    .keep = {},
    .kernel = {.ref = ref_nearest, .cpu = nullptr, .cuda = cuda::upsample_nearest},
    .cases = cases_nearest};
extern constinit const Op upsample_nearest_grad_op{
    .name = "upsample_nearest_grad",
    .formula = "dx[n,h,w,c] = sum of dy over the fh x fw pixels made from x[n,h,w,c]",
    .inputs = {{"dy", "[N,H*fh,W*fw,C]"}},
    .outputs = {{"dx", "[N,H,W,C]"}},
    .infer = infer_nearest_grad,
    .cost = cost_nearest_grad,
    .grad = no_gradient,
    .keep = {},
    .kernel = {.ref = ref_nearest_grad, .cpu = nullptr, .cuda = cuda::upsample_nearest_grad},
    .cases = cases_nearest_grad};
extern constinit const Op upsample_bilinear_op{
    .name = "upsample_bilinear",
    .formula = "y[n,i,j,c] = bilinear x at the source position of (i,j)",
    .inputs = {{"x", "[N,H,W,C]"}},
    .outputs = {{"y", "[N,H',W',C]"}},
    .infer = infer_bilinear,
    .cost = cost_bilinear,
    .grad = grad_bilinear,
    .keep = {},
    .kernel = {.ref = ref_bilinear, .cpu = nullptr, .cuda = cuda::upsample_bilinear},
    .cases = cases_bilinear};
extern constinit const Op upsample_bilinear_grad_op{
    .name = "upsample_bilinear_grad",
    .formula = "dx[neighbour of the source of (i,j)] += weight dy[n,i,j,c]",
    .inputs = {{"dy", "[N,H',W',C]"}},
    .outputs = {{"dx", "[N,H,W,C]"}},
    .infer = infer_bilinear_grad,
    .cost = cost_bilinear_grad,
    .grad = no_gradient,
    .keep = {},
    .kernel = {.ref = ref_bilinear_grad, .cpu = nullptr, .cuda = cuda::upsample_bilinear_grad},
    .cases = cases_bilinear_grad};

Tensor upsample_nearest(const Tensor& x, Pair factor) { return run(upsample_nearest_op, {x}, SizeAttrs{factor})[0]; }
Tensor upsample_bilinear(const Tensor& x, Pair size, bool align_corners) {
  return run(upsample_bilinear_op, {x}, SizeAttrs{size, align_corners})[0];
}
namespace {
Tensor upsample_nearest_grad(const Tensor& dy, Pair factor) {
  return run(upsample_nearest_grad_op, {dy}, SizeAttrs{factor})[0];
}
Tensor upsample_bilinear_grad(const Tensor& dy, const BilinearGradAttrs& a) {
  return run(upsample_bilinear_grad_op, {dy}, a)[0];
}
}  // namespace

}  // namespace querent
