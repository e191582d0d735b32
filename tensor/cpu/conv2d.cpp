// conv2d, its two gradients and the transposed convolution as jobs for the kernels in conv_rows.cpp and
// conv_weight.cpp.
#include <algorithm>

#include "tensor/cpu/conv_job.h"
#include "tensor/kernels.h"

namespace querent::cpu {
namespace {

struct Filter {
  const Tensor& w;  // [O,Kh,Kw,C/groups]
  int64_t kh() const { return w.dim(1); }
  int64_t kw() const { return w.dim(2); }
  int64_t per_output() const { return w.numel() / w.dim(0); }
};

// y = the sum of w x over the windows; the forward convolution.
void windows(const Tensor& x, const Tensor& w, const float* bias, const Tensor& y, const Conv2dAttrs& a) {
  const Filter f{w};
  const int64_t cg = w.dim(3), og = w.dim(0) / a.groups;
  for (int64_t g = 0; g < a.groups; ++g) {
    ConvJob j{.x = x.data<float>(),
              .n = x.dim(0),
              .h = x.dim(1),
              .w = x.dim(2),
              .x_channels = x.dim(3),
              .x_first = g * cg,
              .in = cg,
              .stride_h = a.stride.h,
              .stride_w = a.stride.w,
              .y = y.data<float>(),
              .rows = y.dim(1),
              .cols = y.dim(2),
              .y_h = y.dim(1),
              .y_w = y.dim(2),
              .y_channels = y.dim(3),
              .y_first = g * og,
              .out = og,
              .weights = w.data<float>() + g * og * f.per_output(),
              .w_out = f.per_output(),
              .w_in = 1,
              .taps = {}};
    if (bias) j.bias = bias + g * og;
    for (int64_t u = 0; u < f.kh(); ++u)
      for (int64_t v = 0; v < f.kw(); ++v)
        j.taps.push_back({u * a.dilation.h - a.padding.h, v * a.dilation.w - a.padding.w, (u * f.kw() + v) * cg});
    run_conv(j);
  }
}

// dx = every window's dy spread back over x: one job for each phase of x modulo the stride. dx row s*i + phase gets
// dy row i + (phase + p - u*d)/s through each tap u for which that is a whole number.
void spread(const Tensor& dy, const Tensor& w, const float* bias, const Tensor& dx, const Conv2dAttrs& a) {
  const Filter f{w};
  const int64_t cg = w.dim(3), og = w.dim(0) / a.groups, sh = a.stride.h, sw = a.stride.w;
  for (int64_t g = 0; g < a.groups; ++g) {
    for (int64_t ph = 0; ph < std::min(sh, dx.dim(1)); ++ph) {
      for (int64_t pw = 0; pw < std::min(sw, dx.dim(2)); ++pw) {
        ConvJob j{.x = dy.data<float>(),
                  .n = dy.dim(0),
                  .h = dy.dim(1),
                  .w = dy.dim(2),
                  .x_channels = dy.dim(3),
                  .x_first = g * og,
                  .in = og,
                  .stride_h = 1,
                  .stride_w = 1,
                  .y = dx.data<float>(),
                  .rows = (dx.dim(1) - ph + sh - 1) / sh,
                  .cols = (dx.dim(2) - pw + sw - 1) / sw,
                  .y_h = dx.dim(1),
                  .y_w = dx.dim(2),
                  .y_channels = dx.dim(3),
                  .y_first = g * cg,
                  .out = cg,
                  .step_h = sh,
                  .step_w = sw,
                  .base_h = ph,
                  .base_w = pw,
                  .weights = w.data<float>() + g * og * f.per_output(),
                  .w_out = 1,
                  .w_in = f.per_output(),
                  .taps = {}};
        if (bias) j.bias = bias + g * cg;
        for (int64_t u = 0; u < f.kh(); ++u) {
          const int64_t row = ph + a.padding.h - u * a.dilation.h;
          if (row % sh != 0) continue;
          for (int64_t v = 0; v < f.kw(); ++v) {
            const int64_t col = pw + a.padding.w - v * a.dilation.w;
            if (col % sw == 0) j.taps.push_back({row / sh, col / sw, (u * f.kw() + v) * cg});
          }
        }
        run_conv(j);
      }
    }
  }
}

const float* data_or_null(const Tensor& t) { return t ? t.data<float>() : nullptr; }

}  // namespace

void conv2d(const Call& c) { windows(c.in[0], c.in[1], data_or_null(c.in[2]), c.out[0], c.attrs.as<Conv2dAttrs>()); }

void conv2d_grad_input(const Call& c) {
  spread(c.in[0], c.in[1], nullptr, c.out[0], c.attrs.as<Conv2dGradInputAttrs>().conv);
}

void conv2d_grad_weight(const Call& c) {
  const Tensor &x = c.in[0], &dy = c.in[1], &dw = c.out[0];
  run_conv_weight({x.data<float>(), dy.data<float>(), dw.data<float>(), x.dim(0), x.dim(1), x.dim(2), x.dim(3),
                   dy.dim(1), dy.dim(2), dy.dim(3), dw.dim(1), dw.dim(2), c.attrs.as<Conv2dGradWeightAttrs>().conv});
}

void conv_transpose2d(const Call& c) {
  const auto& a = c.attrs.as<ConvTranspose2dAttrs>();
  spread(c.in[0], c.in[1], data_or_null(c.in[2]), c.out[0], {a.stride, a.padding, a.dilation, a.groups});
}

}  // namespace querent::cpu
