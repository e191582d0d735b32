// max_pool2d: y[n,i,j,c] = max over the window of x, -inf outside.    argmax[n,i,j,c] = u*Kw + v of the first maximum
// avg_pool2d: y[n,i,j,c] = mean over the window of x, 0 outside; divided by Kh*Kw, or by the part inside x
// x [N,H,W,C] -> y [N,H',W',C],  H' = (H + 2p - Kh)/s + 1
#include <limits>

#include "tensor/kernels.h"
#include "tensor/ops.h"
#include "tensor/pool_attrs.h"
#include "tensor/run.h"
#include "tensor/visit.h"

namespace querent {
namespace {

Shape pooled(std::string_view op, const Tensor& x, const Pool2dAttrs& a) {
  check(x.rank() == 4, "{}: x must be [N,H,W,C], got {}", op, x);
  check(a.kernel.h > 0 && a.kernel.w > 0 && a.stride.h > 0 && a.stride.w > 0,
        "{}: kernel and stride must be at least 1; kernel={} stride={}", op, Shape(a.kernel), Shape(a.stride));
  check(a.kernel.h * a.kernel.w <= 255, "{}: windows of more than 255 pixels are not supported; kernel={}", op,
        Shape(a.kernel));
  check(a.padding.h >= 0 && a.padding.w >= 0 && 2 * a.padding.h <= a.kernel.h && 2 * a.padding.w <= a.kernel.w,
        "{}: padding must be at most half the kernel; padding={} kernel={}", op, Shape(a.padding), Shape(a.kernel));
  const int64_t h = x.dim(1) + 2 * a.padding.h - a.kernel.h, w = x.dim(2) + 2 * a.padding.w - a.kernel.w;
  check(h >= 0 && w >= 0, "{}: the window {} is larger than the padded image; x={} padding={}", op, Shape(a.kernel), x,
        Shape(a.padding));
  return {x.dim(0), h / a.stride.h + 1, w / a.stride.w + 1, x.dim(3)};
}

// Calls f(index into y, index into x, window position, pixels inside x) for all pixels of all windows that lie inside
// x.
template <class F>
void for_each_pixel(const Shape& x, const Shape& y, const Pool2dAttrs& a, F f) {
  for (int64_t n = 0; n < y[0]; ++n)
    for (int64_t i = 0; i < y[1]; ++i)
      for (int64_t j = 0; j < y[2]; ++j) {
        const int64_t h0 = i * a.stride.h - a.padding.h, w0 = j * a.stride.w - a.padding.w;
        const int64_t ha = std::max<int64_t>(h0, 0), hb = std::min(h0 + a.kernel.h, x[1]);
        const int64_t wa = std::max<int64_t>(w0, 0), wb = std::min(w0 + a.kernel.w, x[2]);
        const int64_t inside = (hb - ha) * (wb - wa);
        for (int64_t h = ha; h < hb; ++h)
          for (int64_t w = wa; w < wb; ++w)
            for (int64_t c = 0; c < x[3]; ++c) {
              f(((n * y[1] + i) * y[2] + j) * y[3] + c, ((n * x[1] + h) * x[2] + w) * x[3] + c,
                (h - h0) * a.kernel.w + w - w0, inside);
            }
      }
}

// ---- max
std::vector<TensorSpec> infer_max(Inputs in, const Attrs& attrs) {
  const Shape y = pooled("max_pool2d", in[0], attrs.as<Pool2dAttrs>());
  return {{y, in[0].dtype()}, {y, DType::u8}};
}
Cost cost_max(Inputs in, const Attrs& attrs) {
  const auto& a = attrs.as<Pool2dAttrs>();
  const double y = static_cast<double>(pooled("max_pool2d", in[0], a).numel());
  return {y * static_cast<double>(a.kernel.h * a.kernel.w),
          y * static_cast<double>(dtype_size(in[0].dtype()) + 1) + static_cast<double>(in[0].bytes())};
}
void ref_max(const Call& c) {
  const auto& a = c.attrs.as<Pool2dAttrs>();
  visit_float(c.out[0].dtype(), [&]<class T>() {
    const T* x = c.in[0].data<T>();
    T* y = c.out[0].data<T>();
    uint8_t* argmax = c.out[1].data<uint8_t>();
    c.out[0].fill(-std::numeric_limits<double>::infinity());
    c.out[1].fill(0);
    for_each_pixel(c.in[0].shape(), c.out[0].shape(), a, [&](int64_t iy, int64_t ix, int64_t position, int64_t) {
      if (!(x[ix] > y[iy]) && !(x[ix] != x[ix])) return;  // NaN wins, so that it is seen
      y[iy] = x[ix];
      argmax[iy] = static_cast<uint8_t>(position);
    });
  });
}
Tensor max_pool2d_grad(const Tensor& dy, const Tensor& argmax, const Shape& x, const Pool2dAttrs& a);
Tensors grad_max(const GradCall& g) {
  return {max_pool2d_grad(g.dy[0], g.out[1], g.in[0].shape(), g.attrs.as<Pool2dAttrs>())};
}

std::vector<TensorSpec> infer_grad(std::string_view op, Inputs in, const PoolGradAttrs& a) {
  const DryRun dry;  // a tensor of x's shape for the checks, without bytes
  const Shape y = pooled(op, Tensor::empty(a.x), a.pool);
  check(in[0].shape() == y, "{}: dy must be {} for x of {}; dy={}", op, y, a.x, in[0]);
  return {{a.x, in[0].dtype()}};
}
std::vector<TensorSpec> infer_max_grad(Inputs in, const Attrs& attrs) {
  check(in[1].shape() == in[0].shape() && in[1].dtype() == DType::u8,
        "max_pool2d_grad: argmax must be u8 of dy's shape; dy={} argmax={}", in[0], in[1]);
  return infer_grad("max_pool2d_grad", in, attrs.as<PoolGradAttrs>());
}
Cost cost_max_grad(Inputs in, const Attrs& attrs) {
  return {static_cast<double>(in[0].numel()),
          static_cast<double>(in[0].bytes() + in[1].bytes()) +
              static_cast<double>(attrs.as<PoolGradAttrs>().x.numel()) * dtype_size(in[0].dtype())};
}
void ref_max_grad(const Call& c) {
  const auto& a = c.attrs.as<PoolGradAttrs>();
  const uint8_t* argmax = c.in[1].data<uint8_t>();
  visit_float(c.out[0].dtype(), [&]<class T>() {
    const T* dy = c.in[0].data<T>();
    T* dx = c.out[0].data<T>();
    c.out[0].fill(0);
    for_each_pixel(a.x, c.in[0].shape(), a.pool, [&](int64_t iy, int64_t ix, int64_t position, int64_t) {
      if (argmax[iy] == position) dx[ix] += dy[iy];
    });
  });
}

// ---- average
std::vector<TensorSpec> infer_avg(Inputs in, const Attrs& attrs) {
  return {{pooled("avg_pool2d", in[0], attrs.as<Pool2dAttrs>()), in[0].dtype()}};
}
Cost cost_avg(Inputs in, const Attrs& attrs) {
  const auto& a = attrs.as<Pool2dAttrs>();
  const double y = static_cast<double>(pooled("avg_pool2d", in[0], a).numel());
  return {y * static_cast<double>(a.kernel.h * a.kernel.w + 1),
          y * dtype_size(in[0].dtype()) + static_cast<double>(in[0].bytes())};
}
void ref_avg(const Call& c) {
  const auto& a = c.attrs.as<Pool2dAttrs>();
  visit_float(c.out[0].dtype(), [&]<class T>() {
    const T* x = c.in[0].data<T>();
    std::vector<double> y(static_cast<size_t>(c.out[0].numel()), 0.0);
    const int64_t window = a.kernel.h * a.kernel.w;
    for_each_pixel(c.in[0].shape(), c.out[0].shape(), a, [&](int64_t iy, int64_t ix, int64_t, int64_t inside) {
      y[static_cast<size_t>(iy)] += static_cast<double>(x[ix]) / static_cast<double>(a.count_padding ? window : inside);
    });
    for (size_t i = 0; i < y.size(); ++i) c.out[0].data<T>()[i] = static_cast<T>(y[i]);
  });
}
Tensor avg_pool2d_grad(const Tensor& dy, const Shape& x, const Pool2dAttrs& a);
Tensors grad_avg(const GradCall& g) { return {avg_pool2d_grad(g.dy[0], g.in[0].shape(), g.attrs.as<Pool2dAttrs>())}; }

std::vector<TensorSpec> infer_avg_grad(Inputs in, const Attrs& attrs) {
  return infer_grad("avg_pool2d_grad", in, attrs.as<PoolGradAttrs>());
}
Cost cost_avg_grad(Inputs in, const Attrs& attrs) {
  const auto& a = attrs.as<PoolGradAttrs>();
  return {static_cast<double>(in[0].numel() * (a.pool.kernel.h * a.pool.kernel.w + 1)),
          static_cast<double>(in[0].numel() + a.x.numel()) * dtype_size(in[0].dtype())};
}
void ref_avg_grad(const Call& c) {
  const auto& a = c.attrs.as<PoolGradAttrs>();
  visit_float(c.out[0].dtype(), [&]<class T>() {
    const T* dy = c.in[0].data<T>();
    std::vector<double> dx(static_cast<size_t>(c.out[0].numel()), 0.0);
    const int64_t window = a.pool.kernel.h * a.pool.kernel.w;
    for_each_pixel(a.x, c.in[0].shape(), a.pool, [&](int64_t iy, int64_t ix, int64_t, int64_t inside) {
      dx[static_cast<size_t>(ix)] +=
          static_cast<double>(dy[iy]) / static_cast<double>(a.pool.count_padding ? window : inside);
    });
    for (size_t i = 0; i < dx.size(); ++i) c.out[0].data<T>()[i] = static_cast<T>(dx[i]);
  });
}

std::vector<Case> cases_pool(std::string_view op) {
  const auto x = [](Shape s) { return Sample{s, Sample::distinct}; };
  return {
      {"2x2", {x({2, 4, 6, 3})}, Pool2dAttrs{}},
      {"2x2, odd", {x({1, 5, 7, 17})}, Pool2dAttrs{}},
      {"3x3 stride 2", {x({2, 7, 8, 5})}, Pool2dAttrs{.kernel = 3, .stride = 2, .padding = 1}},
      {"overlapping", {x({1, 5, 5, 2})}, Pool2dAttrs{.kernel = 3, .stride = 1}},
      {"uneven",
       {x({1, 6, 7, 1})},
       Pool2dAttrs{.kernel = {2, 3}, .stride = {1, 2}, .padding = {0, 1}, .count_padding = false}},
      {"many channels", {x({1, 4, 4, 37})}, Pool2dAttrs{}},
      {"rank", {x({4, 6, 3})}, Pool2dAttrs{}, "x must be [N,H,W,C]"},
      {"window", {x({1, 1, 6, 3})}, Pool2dAttrs{}, "larger than the padded image"},
      {"padding", {x({1, 6, 6, 3})}, Pool2dAttrs{.padding = 2}, "padding must be at most half the kernel"},
      {"stride", {x({1, 6, 6, 3})}, Pool2dAttrs{.stride = 0}, text("{}: kernel and stride must be at least 1", op)},
      {"huge", {x({1, 20, 20, 1})}, Pool2dAttrs{.kernel = 20}, "windows of more than 255 pixels"},
  };
}
std::vector<Case> cases_max() { return cases_pool("max_pool2d"); }
std::vector<Case> cases_avg() { return cases_pool("avg_pool2d"); }
std::vector<Case> cases_grad(bool max) {
  std::vector<Case> c = {
      {"2x2", {{{2, 2, 3, 3}}}, PoolGradAttrs{{}, {2, 4, 6, 3}}},
      {"2x2, odd", {{{1, 2, 3, 17}}}, PoolGradAttrs{{}, {1, 5, 7, 17}}},
      {"3x3 stride 2", {{{2, 4, 4, 5}}}, PoolGradAttrs{{.kernel = 3, .stride = 2, .padding = 1}, {2, 7, 8, 5}}},
      {"3x3 stride 2, many channels",
       {{{1, 3, 3, 19}}},
       PoolGradAttrs{{.kernel = 3, .stride = 2, .padding = 1}, {1, 6, 5, 19}}},
      {"overlapping", {{{1, 3, 3, 2}}}, PoolGradAttrs{{.kernel = 3, .stride = 1}, {1, 5, 5, 2}}},
      {"size", {{{1, 3, 3, 2}}}, PoolGradAttrs{{}, {1, 4, 4, 2}}, "dy must be [1,2,2,2]"},
  };
  if (max)
    for (Case& k : c) k.in.push_back({k.in[0].shape, Sample::index, 4});
  return c;
}
std::vector<Case> cases_max_grad() { return cases_grad(true); }
std::vector<Case> cases_avg_grad() { return cases_grad(false); }

}  // namespace

extern constinit const Op max_pool2d_op{.name = "max_pool2d",
                                        .formula = "y[n,i,j,c] = max_{u,v} x[n, i*s+u-p, j*s+v-p, c]",
                                        .inputs = {{"x", "[N,H,W,C]"}},
                                        .outputs = {{"y", "[N,H',W',C]"}, {"argmax", "u8 [N,H',W',C]"}},
                                        .infer = infer_max,
                                        .cost = cost_max,
                                        .grad = grad_max,
                                        .keep = {"argmax"},
                                        .kernel = {.ref = ref_max, .cpu = cpu::max_pool2d, .cuda = cuda::max_pool2d},
                                        .cases = cases_max};
extern constinit const Op max_pool2d_grad_op{
    .name = "max_pool2d_grad",
    .formula = "dx[the maximum of each window] += dy",
    .inputs = {{"dy", "[N,H',W',C]"}, {"argmax", "u8 [N,H',W',C]", Arg::constant}},
    .outputs = {{"dx", "[N,H,W,C]"}},
    .infer = infer_max_grad,
    .cost = cost_max_grad,
    .grad = no_gradient,
    .keep = {},
    .kernel = {.ref = ref_max_grad, .cpu = cpu::max_pool2d_grad, .cuda = cuda::max_pool2d_grad},
    .cases = cases_max_grad};
extern constinit const Op avg_pool2d_op{.name = "avg_pool2d",
                                        .formula = "y[n,i,j,c] = mean_{u,v} x[n, i*s+u-p, j*s+v-p, c]",
                                        .inputs = {{"x", "[N,H,W,C]"}},
                                        .outputs = {{"y", "[N,H',W',C]"}},
                                        .infer = infer_avg,
                                        .cost = cost_avg,
                                        .grad = grad_avg,
                                        .keep = {},
                                        .kernel = {.ref = ref_avg, .cpu = nullptr, .cuda = cuda::avg_pool2d},
                                        .cases = cases_avg};
extern constinit const Op avg_pool2d_grad_op{
    .name = "avg_pool2d_grad",
    .formula = "dx[n, i*s+u-p, j*s+v-p, c] += dy[n,i,j,c] / window",
    .inputs = {{"dy", "[N,H',W',C]"}},
    .outputs = {{"dx", "[N,H,W,C]"}},
    .infer = infer_avg_grad,
    .cost = cost_avg_grad,
    .grad = no_gradient,
    .keep = {},
    .kernel = {.ref = ref_avg_grad, .cpu = nullptr, .cuda = cuda::avg_pool2d_grad},
    .cases = cases_avg_grad};

Tensor max_pool2d(const Tensor& x, const Pool2dAttrs& a) { return run(max_pool2d_op, {x}, a)[0]; }
Tensor avg_pool2d(const Tensor& x, const Pool2dAttrs& a) { return run(avg_pool2d_op, {x}, a)[0]; }
namespace {
Tensor max_pool2d_grad(const Tensor& dy, const Tensor& argmax, const Shape& x, const Pool2dAttrs& a) {
  return run(max_pool2d_grad_op, {dy, argmax}, PoolGradAttrs{a, x})[0];
}
Tensor avg_pool2d_grad(const Tensor& dy, const Shape& x, const Pool2dAttrs& a) {
  return run(avg_pool2d_grad_op, {dy}, PoolGradAttrs{a, x})[0];
}
}  // namespace

}  // namespace querent
