// conv_transpose2d: the adjoint of conv2d in x, with a bias.
//   y[n, i*s+u*d-p, j*s+v*d-p, o] += x[n,i,j,c] w[c,u,v,o]          y starts as b[o]
// x [N,H,W,C]   w [C,Kh,Kw,O/groups]   b [O] or none   y [N,H',W',O],   H' = (H-1)s - 2p + d(Kh-1) + op + 1
//
// Read backwards: w is the filter of a convolution from y (O channels) to x (C channels). The gradients are therefore
// dx = conv2d(dy, w) and dw = conv2d_grad_weight with dy as the image and x as the upstream gradient.
#include "tensor/kernels.h"
#include "tensor/ops.h"
#include "tensor/run.h"
#include "tensor/visit.h"

namespace querent {
namespace {

int64_t out_size(int64_t size, int64_t k, int64_t s, int64_t p, int64_t d, int64_t op) {
  return (size - 1) * s - 2 * p + d * (k - 1) + op + 1;
}

std::vector<TensorSpec> infer(Inputs in, const Attrs& attrs) {
  const auto& a = attrs.as<ConvTranspose2dAttrs>();
  const Tensor &x = in[0], &w = in[1], &b = in[2];
  check(x.rank() == 4 && w.rank() == 4, "conv_transpose2d: x must be [N,H,W,C] and w [C,Kh,Kw,O/groups]; x={} w={}", x,
        w);
  check(
      a.stride.h > 0 && a.stride.w > 0 && a.dilation.h > 0 && a.dilation.w > 0 && a.padding.h >= 0 && a.padding.w >= 0,
      "conv_transpose2d: stride and dilation must be at least 1 and padding at least 0; stride={} dilation={} "
      "padding={}",
      Shape(a.stride), Shape(a.dilation), Shape(a.padding));
  check(a.output_padding.h >= 0 && a.output_padding.w >= 0 && a.output_padding.h < std::max(a.stride.h, a.dilation.h) &&
            a.output_padding.w < std::max(a.stride.w, a.dilation.w),
        "conv_transpose2d: output_padding {} must be smaller than the stride {} or the dilation {}",
        Shape(a.output_padding), Shape(a.stride), Shape(a.dilation));
  check(w.dim(0) == x.dim(3), "conv_transpose2d: x has C={} channels but w expects {}; x={} w={}", x.dim(3), w.dim(0),
        x, w);
  check(a.groups > 0 && x.dim(3) % a.groups == 0, "conv_transpose2d: C={} must be a multiple of groups={}", x.dim(3),
        a.groups);
  const int64_t o = w.dim(3) * a.groups;
  check(!b || b.shape() == Shape{o}, "conv_transpose2d: b must be [O] with O={}; b={} w={}", o, b, w);
  const int64_t h = out_size(x.dim(1), w.dim(1), a.stride.h, a.padding.h, a.dilation.h, a.output_padding.h);
  const int64_t wd = out_size(x.dim(2), w.dim(2), a.stride.w, a.padding.w, a.dilation.w, a.output_padding.w);
  check(h > 0 && wd > 0, "conv_transpose2d: the result would be {}x{}: padding {} is too large for x={} w={}", h, wd,
        Shape(a.padding), x, w);
  return {{{x.dim(0), h, wd, o}, x.dtype()}};
}

Cost cost(Inputs in, const Attrs& attrs) {
  const double y = static_cast<double>(infer(in, attrs)[0].shape.numel());
  const Tensor &x = in[0], &w = in[1];
  const double products = static_cast<double>(x.numel()) * static_cast<double>(w.numel() / w.dim(0));
  return {2 * products + (in[2] ? y : 0),
          (y + static_cast<double>(x.numel() + w.numel() + (in[2] ? in[2].numel() : 0))) * dtype_size(x.dtype())};
}

void ref(const Call& c) {
  const auto& a = c.attrs.as<ConvTranspose2dAttrs>();
  const Tensor &tx = c.in[0], &tw = c.in[1], &ty = c.out[0];
  const int64_t C = tx.dim(3), og = tw.dim(3), O = ty.dim(3), H = ty.dim(1), W = ty.dim(2);
  visit_float(ty.dtype(), [&]<class T>() {
    const T *x = tx.data<T>(), *w = tw.data<T>(), *b = c.in[2] ? c.in[2].data<T>() : nullptr;
    std::vector<double> y(static_cast<size_t>(ty.numel()), 0.0);
    if (b)
      for (size_t i = 0; i < y.size(); ++i) y[i] = static_cast<double>(b[i % static_cast<size_t>(O)]);
    for (int64_t n = 0; n < tx.dim(0); ++n)
      for (int64_t i = 0; i < tx.dim(1); ++i)
        for (int64_t j = 0; j < tx.dim(2); ++j)
          for (int64_t ci = 0; ci < C; ++ci) {
            const double value = static_cast<double>(x[((n * tx.dim(1) + i) * tx.dim(2) + j) * C + ci]);
            const int64_t group = ci / (C / a.groups);
            for (int64_t u = 0; u < tw.dim(1); ++u)
              for (int64_t v = 0; v < tw.dim(2); ++v) {
                const int64_t h = i * a.stride.h + u * a.dilation.h - a.padding.h;
                const int64_t k = j * a.stride.w + v * a.dilation.w - a.padding.w;
                if (h < 0 || h >= H || k < 0 || k >= W) continue;
                double* to = &y[static_cast<size_t>(((n * H + h) * W + k) * O + group * og)];
                const T* from = w + ((ci * tw.dim(1) + u) * tw.dim(2) + v) * og;
                for (int64_t o = 0; o < og; ++o) to[o] += value * static_cast<double>(from[o]);
              }
          }
    T* out = ty.data<T>();
    for (size_t i = 0; i < y.size(); ++i) out[i] = static_cast<T>(y[i]);
  });
}

Tensors grad(const GradCall& g) {
  const auto& a = g.attrs.as<ConvTranspose2dAttrs>();
  const Conv2dAttrs conv{a.stride, a.padding, a.dilation, a.groups};
  const Tensor &x = g.in[0], &w = g.in[1], &dy = g.dy[0];
  // With output padding the convolution of dy may have more windows than x has pixels; the extra ones are cut off.
  Tensor dx;
  if (g.need[0]) {
    dx = conv2d(dy, w, {}, conv);
    if (dx.shape() != x.shape()) dx = crop(dx, {.start = {0, 0, 0, 0}, .size = x.shape()});
  }
  Tensor dw;
  if (g.need[1]) {
    Tensor up = x;
    const int64_t rows = (dy.dim(1) + 2 * a.padding.h - a.dilation.h * (w.dim(1) - 1) - 1) / a.stride.h + 1;
    const int64_t cols = (dy.dim(2) + 2 * a.padding.w - a.dilation.w * (w.dim(2) - 1) - 1) / a.stride.w + 1;
    if (rows != x.dim(1) || cols != x.dim(2)) {
      up = pad(x, {.before = {0, 0, 0, 0}, .after = {0, rows - x.dim(1), cols - x.dim(2), 0}});
    }
    dw = conv2d_grad_weight(dy, up, {conv, {w.dim(1), w.dim(2)}});
  }
  return {dx, dw, g.need[2] ? sum(dy, {0, 1, 2}) : Tensor{}};
}

std::vector<Case> cases() {
  using A = ConvTranspose2dAttrs;
  return {
      {"2x2 stride 2", {{{2, 3, 5, 6}}, {{6, 2, 2, 3}}, {{3}}}, A{.stride = 2}},
      {"4x4 stride 2", {{{1, 3, 4, 5}}, {{5, 4, 4, 7}}, {{7}}}, A{.stride = 2, .padding = 1}},
      {"3x3 stride 2, padded",
       {{{1, 3, 5, 4}}, {{4, 3, 3, 2}}, {{2}}},
       A{.stride = 2, .padding = 1, .output_padding = 1}},
      {"stride 1", {{{1, 5, 4, 3}}, {{3, 3, 3, 2}}, {{2}}}, A{.padding = 1}},
      {"uneven, dilated",
       {{{1, 3, 4, 2}}, {{2, 2, 3, 3}}, {{3}}},
       A{.stride = {3, 2}, .padding = {0, 1}, .dilation = {2, 1}}},
      {"stride over kernel", {{{1, 3, 3, 2}}, {{2, 1, 1, 3}}, {{3}}}, A{.stride = 3}},
      {"groups", {{{1, 3, 4, 4}}, {{4, 2, 2, 3}}, {{6}}}, A{.stride = 2, .groups = 2}},
      {"many channels", {{{1, 3, 3, 35}}, {{35, 2, 2, 19}}, {{19}}}, A{.stride = 2}},
      {"few channels from many", {{{1, 3, 5, 36}}, {{36, 4, 4, 1}}, {{1}}}, A{.stride = 2, .padding = 1}},
      {"deep", {{{2, 2, 3, 33}}, {{33, 4, 4, 35}}, {{35}}}, A{.stride = 2, .padding = 1}},
      {"no bias", {{{1, 3, 3, 2}}, {{2, 2, 2, 3}}, {{}, Sample::none}}, A{.stride = 2}},
      {"channels", {{{1, 3, 3, 2}}, {{3, 2, 2, 3}}, {{}, Sample::none}}, A{}, "x has C=2 channels but w expects 3"},
      {"bias", {{{1, 3, 3, 2}}, {{2, 2, 2, 3}}, {{2}}}, A{}, "b must be [O] with O=3"},
      {"output padding",
       {{{1, 3, 3, 2}}, {{2, 2, 2, 3}}, {{3}}},
       A{.output_padding = 1},
       "must be smaller than the stride"},
      {"padding", {{{1, 1, 1, 2}}, {{2, 2, 2, 3}}, {{3}}}, A{.padding = 2}, "padding [2,2] is too large"},
  };
}

}  // namespace

extern constinit const Op conv_transpose2d_op{
    .name = "conv_transpose2d",
    .formula = "y[n, i*s+u*d-p, j*s+v*d-p, o] = b[o] + sum of x[n,i,j,c] w[c,u,v,o]",
    .inputs = {{"x", "[N,H,W,C]"}, {"w", "[C,Kh,Kw,O/groups]"}, {"b", "[O]", Arg::optional}},
    .outputs = {{"y", "[N,H',W',O]"}},
    .infer = infer,
    .cost = cost,
    .grad = grad,
    .keep = {"x", "w"},
    .kernel = {.ref = ref, .cpu = cpu::conv_transpose2d, .cuda = cuda::conv_transpose2d},
    .cases = cases};

Tensor conv_transpose2d(const Tensor& x, const Tensor& w, const Tensor& b, const ConvTranspose2dAttrs& a) {
  return run(conv_transpose2d_op, {x, w, b}, a)[0];
}

}  // namespace querent
