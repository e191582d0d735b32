// conv2d: y[n,i,j,o] = b[o] + sum_{u,v,c} w[o,u,v,c] x[n, i*s+u*d-p, j*s+v*d-p, c]      (zero outside x)
// x [N,H,W,C]   w [O,Kh,Kw,C/groups]   b [O] or none   y [N,H',W',O],   H' = (H + 2p - d(Kh-1) - 1)/s + 1
//
// Output channel o belongs to group o / (O/groups) and sees only the C/groups input channels of that group. The
// gradients in x and w are ops of their own; all three are linear in each argument, so each one's gradients are the
// other two.
#include "tensor/kernels.h"
#include "tensor/ops.h"
#include "tensor/run.h"
#include "tensor/visit.h"

namespace querent {
namespace {

struct Geometry {
  int64_t n, h, w, c, oh, ow, o, kh, kw;
  Conv2dAttrs a;
  int64_t channels() const { return c / a.groups; }  // input channels seen by one output channel
  double multiply_adds() const { return 1.0 * n * oh * ow * o * kh * kw * channels(); }
};

int64_t out_size(int64_t size, int64_t k, int64_t s, int64_t p, int64_t d) {
  return (size + 2 * p - d * (k - 1) - 1) / s + 1;
}

Geometry geometry(std::string_view op, const Shape& x, const Shape& w, const Conv2dAttrs& a) {
  check(
      a.stride.h > 0 && a.stride.w > 0 && a.dilation.h > 0 && a.dilation.w > 0 && a.padding.h >= 0 && a.padding.w >= 0,
      "{}: stride and dilation must be at least 1 and padding at least 0; stride={} dilation={} padding={}", op,
      Shape(a.stride), Shape(a.dilation), Shape(a.padding));
  check(a.groups > 0 && x[3] % a.groups == 0 && w[0] % a.groups == 0,
        "{}: C={} and O={} must be multiples of groups={}", op, x[3], w[0], a.groups);
  check(w[3] == x[3] / a.groups, "{}: x has C={} channels, so w must have C/groups={} but has {}; x={} w={} groups={}",
        op, x[3], x[3] / a.groups, w[3], x, w, a.groups);
  const int64_t reach_h = a.dilation.h * (w[1] - 1) + 1, reach_w = a.dilation.w * (w[2] - 1) + 1;
  check(x[1] + 2 * a.padding.h >= reach_h && x[2] + 2 * a.padding.w >= reach_w,
        "{}: the padded image {}x{} is smaller than the window {}x{}; x={} w={} padding={}", op, x[1] + 2 * a.padding.h,
        x[2] + 2 * a.padding.w, reach_h, reach_w, x, w, Shape(a.padding));
  return {x[0],
          x[1],
          x[2],
          x[3],
          out_size(x[1], w[1], a.stride.h, a.padding.h, a.dilation.h),
          out_size(x[2], w[2], a.stride.w, a.padding.w, a.dilation.w),
          w[0],
          w[1],
          w[2],
          a};
}

// The definition, once for the three directions: calls f(y index, x index, w index) for every product in the sum.
template <class F>
void for_each_term(const Geometry& g, F f) {
  const int64_t cg = g.channels(), og = g.o / g.a.groups;
  for (int64_t n = 0; n < g.n; ++n)
    for (int64_t i = 0; i < g.oh; ++i)
      for (int64_t j = 0; j < g.ow; ++j)
        for (int64_t o = 0; o < g.o; ++o) {
          const int64_t y = ((n * g.oh + i) * g.ow + j) * g.o + o;
          for (int64_t u = 0; u < g.kh; ++u) {
            const int64_t h = i * g.a.stride.h + u * g.a.dilation.h - g.a.padding.h;
            if (h < 0 || h >= g.h) continue;
            for (int64_t v = 0; v < g.kw; ++v) {
              const int64_t w = j * g.a.stride.w + v * g.a.dilation.w - g.a.padding.w;
              if (w < 0 || w >= g.w) continue;
              const int64_t x = ((n * g.h + h) * g.w + w) * g.c + o / og * cg;
              const int64_t k = ((o * g.kh + u) * g.kw + v) * cg;
              for (int64_t c = 0; c < cg; ++c) f(y, x + c, k + c);
            }
          }
        }
}

template <class T>
void store(const Tensor& to, const std::vector<double>& sums) {
  T* out = to.data<T>();
  for (size_t i = 0; i < sums.size(); ++i) out[i] = static_cast<T>(sums[i]);
}

// ---- forward
Geometry forward_geometry(Inputs in, const Attrs& attrs) {
  check(in[0].rank() == 4 && in[1].rank() == 4, "conv2d: x must be [N,H,W,C] and w [O,Kh,Kw,C/groups]; x={} w={}",
        in[0], in[1]);
  const Geometry g = geometry("conv2d", in[0].shape(), in[1].shape(), attrs.as<Conv2dAttrs>());
  check(!in[2] || in[2].shape() == Shape{g.o}, "conv2d: b must be [O] with O={}; b={} w={}", g.o, in[2], in[1]);
  return g;
}
std::vector<TensorSpec> infer(Inputs in, const Attrs& attrs) {
  const Geometry g = forward_geometry(in, attrs);
  return {{{g.n, g.oh, g.ow, g.o}, in[0].dtype()}};
}
Cost cost(Inputs in, const Attrs& attrs) {
  const Geometry g = forward_geometry(in, attrs);
  const double y = 1.0 * g.n * g.oh * g.ow * g.o;
  return {2 * g.multiply_adds() + (in[2] ? y : 0),
          (y + static_cast<double>(in[0].numel() + in[1].numel() + (in[2] ? g.o : 0))) * dtype_size(in[0].dtype())};
}
void ref(const Call& c) {
  const Geometry g = forward_geometry(c.in, c.attrs);
  visit_float(c.out[0].dtype(), [&]<class T>() {
    const T *x = c.in[0].data<T>(), *w = c.in[1].data<T>(), *b = c.in[2] ? c.in[2].data<T>() : nullptr;
    std::vector<double> y(static_cast<size_t>(c.out[0].numel()), 0.0);
    if (b)
      for (size_t i = 0; i < y.size(); ++i) y[i] = static_cast<double>(b[i % static_cast<size_t>(g.o)]);
    for_each_term(g, [&](int64_t iy, int64_t ix, int64_t iw) {
      y[static_cast<size_t>(iy)] += static_cast<double>(x[ix]) * static_cast<double>(w[iw]);
    });
    store<T>(c.out[0], y);
  });
}
Tensors grad(const GradCall& g) {
  const auto& a = g.attrs.as<Conv2dAttrs>();
  const Tensor &x = g.in[0], &w = g.in[1], &dy = g.dy[0];
  return {g.need[0] ? conv2d_grad_input(dy, w, {a, {x.dim(1), x.dim(2)}}) : Tensor{},
          g.need[1] ? conv2d_grad_weight(x, dy, {a, {w.dim(1), w.dim(2)}}) : Tensor{},
          g.need[2] ? sum(dy, {0, 1, 2}) : Tensor{}};
}

// ---- dx[n,h,w,c] = sum over the windows that saw x[n,h,w,c]
Geometry input_geometry(Inputs in, const Attrs& attrs) {
  const auto& a = attrs.as<Conv2dGradInputAttrs>();
  const Tensor &dy = in[0], &w = in[1];
  check(dy.rank() == 4 && w.rank() == 4,
        "conv2d_grad_input: dy must be [N,H',W',O] and w [O,Kh,Kw,C/groups]; dy={} w={}", dy, w);
  const Shape x{dy.dim(0), a.size.h, a.size.w, w.dim(3) * a.conv.groups};
  const Geometry g = geometry("conv2d_grad_input", x, w.shape(), a.conv);
  check(dy.shape() == Shape{g.n, g.oh, g.ow, g.o}, "conv2d_grad_input: dy must be {} for x of {}; dy={} w={}",
        Shape{g.n, g.oh, g.ow, g.o}, x, dy, w);
  return g;
}
std::vector<TensorSpec> infer_input(Inputs in, const Attrs& attrs) {
  const Geometry g = input_geometry(in, attrs);
  return {{{g.n, g.h, g.w, g.c}, in[0].dtype()}};
}
Cost cost_input(Inputs in, const Attrs& attrs) {
  const Geometry g = input_geometry(in, attrs);
  return {2 * g.multiply_adds(), (1.0 * g.n * g.h * g.w * g.c + static_cast<double>(in[0].numel() + in[1].numel())) *
                                     dtype_size(in[0].dtype())};
}
void ref_input(const Call& c) {
  const Geometry g = input_geometry(c.in, c.attrs);
  visit_float(c.out[0].dtype(), [&]<class T>() {
    const T *dy = c.in[0].data<T>(), *w = c.in[1].data<T>();
    std::vector<double> dx(static_cast<size_t>(c.out[0].numel()), 0.0);
    for_each_term(g, [&](int64_t iy, int64_t ix, int64_t iw) {
      dx[static_cast<size_t>(ix)] += static_cast<double>(dy[iy]) * static_cast<double>(w[iw]);
    });
    store<T>(c.out[0], dx);
  });
}
Tensors grad_input(const GradCall& g) {
  const auto& a = g.attrs.as<Conv2dGradInputAttrs>();
  const Tensor &dy = g.in[0], &w = g.in[1], &up = g.dy[0];  // up has the shape of x
  return {g.need[0] ? conv2d(up, w, {}, a.conv) : Tensor{},
          g.need[1] ? conv2d_grad_weight(up, dy, {a.conv, {w.dim(1), w.dim(2)}}) : Tensor{}};
}

// ---- dw[o,u,v,c] = sum over all positions of dy times what lay under that tap
Geometry weight_geometry(Inputs in, const Attrs& attrs) {
  const auto& a = attrs.as<Conv2dGradWeightAttrs>();
  const Tensor &x = in[0], &dy = in[1];
  check(x.rank() == 4 && dy.rank() == 4, "conv2d_grad_weight: x must be [N,H,W,C] and dy [N,H',W',O]; x={} dy={}", x,
        dy);
  check(a.conv.groups > 0, "conv2d_grad_weight: groups must be at least 1, got {}", a.conv.groups);
  const Shape w{dy.dim(3), a.kernel.h, a.kernel.w, x.dim(3) / a.conv.groups};
  const Geometry g = geometry("conv2d_grad_weight", x.shape(), w, a.conv);
  check(dy.shape() == Shape{g.n, g.oh, g.ow, g.o}, "conv2d_grad_weight: dy must be {} for a {} kernel; x={} dy={}",
        Shape{g.n, g.oh, g.ow, g.o}, Shape(a.kernel), x, dy);
  return g;
}
std::vector<TensorSpec> infer_weight(Inputs in, const Attrs& attrs) {
  const Geometry g = weight_geometry(in, attrs);
  return {{{g.o, g.kh, g.kw, g.channels()}, in[0].dtype()}};
}
Cost cost_weight(Inputs in, const Attrs& attrs) {
  const Geometry g = weight_geometry(in, attrs);
  return {2 * g.multiply_adds(),
          (1.0 * g.o * g.kh * g.kw * g.channels() + static_cast<double>(in[0].numel() + in[1].numel())) *
              dtype_size(in[0].dtype())};
}
void ref_weight(const Call& c) {
  const Geometry g = weight_geometry(c.in, c.attrs);
  visit_float(c.out[0].dtype(), [&]<class T>() {
    const T *x = c.in[0].data<T>(), *dy = c.in[1].data<T>();
    std::vector<double> dw(static_cast<size_t>(c.out[0].numel()), 0.0);
    for_each_term(g, [&](int64_t iy, int64_t ix, int64_t iw) {
      dw[static_cast<size_t>(iw)] += static_cast<double>(dy[iy]) * static_cast<double>(x[ix]);
    });
    store<T>(c.out[0], dw);
  });
}
Tensors grad_weight(const GradCall& g) {
  const auto& a = g.attrs.as<Conv2dGradWeightAttrs>();
  const Tensor &x = g.in[0], &dy = g.in[1], &up = g.dy[0];  // up has the shape of w
  return {g.need[0] ? conv2d_grad_input(dy, up, {a.conv, {x.dim(1), x.dim(2)}}) : Tensor{},
          g.need[1] ? conv2d(x, up, {}, a.conv) : Tensor{}};
}

// ---- cases: one list of layers serves the three rows
struct Layer {
  const char* name;
  Shape x, w, y;
  Conv2dAttrs a;
};
const std::vector<Layer>& layers() {
  static const std::vector<Layer> all = {
      {"3x3 same", {2, 5, 7, 3}, {4, 3, 3, 3}, {2, 5, 7, 4}, {.padding = 1}},
      {"1x1", {1, 3, 5, 17}, {5, 1, 1, 17}, {1, 3, 5, 5}, {}},
      {"one channel", {1, 6, 9, 1}, {16, 3, 3, 1}, {1, 6, 9, 16}, {.padding = 1}},
      {"one output", {2, 5, 5, 16}, {1, 1, 1, 16}, {2, 5, 5, 1}, {}},
      {"7x7 stride 2", {1, 15, 13, 3}, {8, 7, 7, 3}, {1, 8, 7, 8}, {.stride = 2, .padding = 3}},
      {"3x3 stride 2, even", {2, 8, 6, 5}, {7, 3, 3, 5}, {2, 4, 3, 7}, {.stride = 2, .padding = 1}},
      {"1x1 stride 2", {1, 7, 6, 4}, {6, 1, 1, 4}, {1, 4, 3, 6}, {.stride = 2}},
      {"4x4 stride 2", {1, 8, 10, 3}, {5, 4, 4, 3}, {1, 4, 5, 5}, {.stride = 2, .padding = 1}},
      {"dilated", {1, 9, 8, 2}, {3, 3, 3, 2}, {1, 5, 4, 3}, {.dilation = 2}},
      {"uneven", {1, 9, 7, 2}, {3, 3, 2, 2}, {1, 5, 4, 3}, {.stride = {2, 3}, .padding = {1, 2}}},
      {"stride over kernel", {1, 7, 7, 2}, {3, 2, 2, 2}, {1, 2, 2, 3}, {.stride = 4}},
      {"groups", {2, 5, 6, 6}, {4, 3, 3, 3}, {2, 5, 6, 4}, {.padding = 1, .groups = 2}},
      {"depthwise", {1, 5, 6, 5}, {5, 3, 3, 1}, {1, 5, 6, 5}, {.padding = 1, .groups = 5}},
      {"4x4 stride 2, deep", {2, 5, 4, 35}, {33, 4, 4, 35}, {2, 2, 2, 33}, {.stride = 2, .padding = 1}},
      {"one position, deep", {1, 2, 2, 64}, {34, 4, 4, 64}, {1, 1, 1, 34}, {.stride = 2, .padding = 1}},
      {"few channels from many", {2, 7, 8, 2}, {33, 4, 4, 2}, {2, 3, 4, 33}, {.stride = 2, .padding = 1}},
      {"one output, deep", {1, 5, 4, 37}, {1, 4, 4, 37}, {1, 4, 3, 1}, {.padding = 1}},
      {"2x2 stride 2", {2, 6, 10, 17}, {35, 2, 2, 17}, {2, 3, 5, 35}, {.stride = 2}},
      {"2x2 stride 2, a column left over", {2, 14, 31, 17}, {35, 2, 2, 17}, {2, 7, 15, 35}, {.stride = 2}},
      {"2x2 stride 2, few outputs", {1, 4, 6, 19}, {3, 2, 2, 19}, {1, 2, 3, 3}, {.stride = 2}},
      {"tails of every block", {1, 13, 17, 33}, {37, 3, 3, 33}, {1, 13, 17, 37}, {.padding = 1}},
  };
  return all;
}
std::vector<Case> cases() {
  std::vector<Case> c;
  for (const Layer& l : layers()) c.push_back({l.name, {{l.x}, {l.w}, {{l.w[0]}}}, l.a});
  c.push_back({"no bias", {{{1, 5, 5, 3}}, {{4, 3, 3, 3}}, {{}, Sample::none}}, Conv2dAttrs{}});
  c.push_back({"channels",
               {{{1, 5, 5, 4}}, {{4, 3, 3, 3}}, {{}, Sample::none}},
               Conv2dAttrs{},
               "x has C=4 channels, so w must have C/groups=4 but has 3"});
  c.push_back({"bias", {{{1, 5, 5, 3}}, {{4, 3, 3, 3}}, {{3}}}, Conv2dAttrs{}, "b must be [O] with O=4"});
  c.push_back({"small image",
               {{{1, 2, 5, 3}}, {{4, 3, 3, 3}}, {{4}}},
               Conv2dAttrs{},
               "the padded image 2x5 is smaller than the window 3x3"});
  c.push_back(
      {"groups", {{{1, 5, 5, 3}}, {{4, 3, 3, 3}}, {{4}}}, Conv2dAttrs{.groups = 2}, "must be multiples of groups=2"});
  c.push_back({"rank", {{{5, 5, 3}}, {{4, 3, 3, 3}}, {{4}}}, Conv2dAttrs{}, "x must be [N,H,W,C]"});
  c.push_back({"stride",
               {{{1, 5, 5, 3}}, {{4, 3, 3, 3}}, {{4}}},
               Conv2dAttrs{.stride = 0},
               "stride and dilation must be at least 1"});
  return c;
}
std::vector<Case> cases_input() {
  std::vector<Case> c;
  for (const Layer& l : layers()) c.push_back({l.name, {{l.y}, {l.w}}, Conv2dGradInputAttrs{l.a, {l.x[1], l.x[2]}}});
  c.push_back({"size of dy", {{{1, 5, 5, 4}}, {{4, 3, 3, 3}}}, Conv2dGradInputAttrs{{}, 5}, "dy must be [1,3,3,4]"});
  return c;
}
std::vector<Case> cases_weight() {
  std::vector<Case> c;
  for (const Layer& l : layers()) c.push_back({l.name, {{l.x}, {l.y}}, Conv2dGradWeightAttrs{l.a, {l.w[1], l.w[2]}}});
  c.push_back({"size of dy", {{{1, 5, 5, 3}}, {{1, 5, 5, 4}}}, Conv2dGradWeightAttrs{{}, 3}, "dy must be [1,3,3,4]"});
  return c;
}

}  // namespace

extern constinit const Op conv2d_op{
    .name = "conv2d",
    .formula = "y[n,i,j,o] = b[o] + sum_{u,v,c} w[o,u,v,c] x[n, i*s+u*d-p, j*s+v*d-p, c]",
    .inputs = {{"x", "[N,H,W,C]"}, {"w", "[O,Kh,Kw,C/groups]"}, {"b", "[O]", Arg::optional}},
    .outputs = {{"y", "[N,H',W',O]"}},
    .infer = infer,
    .cost = cost,
    .grad = grad,
    .keep = {"x", "w"},
    .kernel = {.ref = ref, .cpu = cpu::conv2d, .cuda = cuda::conv2d},
    .cases = cases};

extern constinit const Op conv2d_grad_input_op{
    .name = "conv2d_grad_input",
    .formula = "dx[n,h,w,c] = sum of w[o,u,v,c] dy[n,i,j,o] over (i,j,u,v,o) with i*s+u*d-p = h, j*s+v*d-p = w",
    .inputs = {{"dy", "[N,H',W',O]"}, {"w", "[O,Kh,Kw,C/groups]"}},
    .outputs = {{"dx", "[N,H,W,C]"}},
    .infer = infer_input,
    .cost = cost_input,
    .grad = grad_input,
    .keep = {"dy", "w"},
    .kernel = {.ref = ref_input, .cpu = cpu::conv2d_grad_input, .cuda = cuda::conv2d_grad_input},
    .cases = cases_input};

extern constinit const Op conv2d_grad_weight_op{
    .name = "conv2d_grad_weight",
    .formula = "dw[o,u,v,c] = sum_{n,i,j} dy[n,i,j,o] x[n, i*s+u*d-p, j*s+v*d-p, c]",
    .inputs = {{"x", "[N,H,W,C]"}, {"dy", "[N,H',W',O]"}},
    .outputs = {{"dw", "[O,Kh,Kw,C/groups]"}},
    .infer = infer_weight,
    .cost = cost_weight,
    .grad = grad_weight,
    .keep = {"x", "dy"},
    .kernel = {.ref = ref_weight, .cpu = cpu::conv2d_grad_weight, .cuda = cuda::conv2d_grad_weight},
    .cases = cases_weight};

Tensor conv2d(const Tensor& x, const Tensor& w, const Tensor& b, const Conv2dAttrs& a) {
  return run(conv2d_op, {x, w, b}, a)[0];
}
Tensor conv2d_grad_input(const Tensor& dy, const Tensor& w, const Conv2dGradInputAttrs& a) {
  return run(conv2d_grad_input_op, {dy, w}, a)[0];
}
Tensor conv2d_grad_weight(const Tensor& x, const Tensor& dy, const Conv2dGradWeightAttrs& a) {
  return run(conv2d_grad_weight_op, {x, dy}, a)[0];
}

}  // namespace querent
