// conv2d, its two gradients and the transposed convolution as jobs for the kernels in conv_rows.cpp and
// conv_weight.cpp.
#include <algorithm>

#include "tensor/cpu/conv_job.h"
#include "tensor/cpu/winograd.h"
#include "tensor/kernels.h"
#include "tensor/run.h"

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

// The algorithm for a convolution with these attributes from `in` to `out` channels over images of rows x cols outputs:
// a function of the shape alone. Winograd pays for its transforms with the number of channels; a tile of 4 x 4 wants
// images that it fills.
enum class Direction { forward, weight };
ConvAlgorithm choose(const Conv2dAttrs& a, const Tensor& w, Direction direction, int64_t rows, int64_t cols) {
  const bool possible = w.dim(1) == 3 && w.dim(2) == 3 && a.stride.h == 1 && a.stride.w == 1 && a.dilation.h == 1 &&
                        a.dilation.w == 1 && a.groups == 1 && a.padding.h <= 2 && a.padding.w <= 2;
  if (!possible) return ConvAlgorithm::direct;
  if (conv_algorithm() != ConvAlgorithm::automatic) return conv_algorithm();
  const int64_t fewest = std::min(w.dim(0), w.dim(3));
  if (fewest < (direction == Direction::weight ? 32 : 16)) return ConvAlgorithm::direct;
  return std::min(rows, cols) >= 8 ? ConvAlgorithm::winograd4
         : std::min(rows, cols) >= 4 ? ConvAlgorithm::winograd2 : ConvAlgorithm::direct;
}
int tile_of(ConvAlgorithm a) { return a == ConvAlgorithm::winograd4 ? 4 : 2; }

const float* data_or_null(const Tensor& t) { return t ? t.data<float>() : nullptr; }

}  // namespace

void conv2d(const Call& c) {
  const auto& a = c.attrs.as<Conv2dAttrs>();
  const Tensor &x = c.in[0], &w = c.in[1], &y = c.out[0];
  const ConvAlgorithm algorithm = choose(a, w, Direction::forward, y.dim(1), y.dim(2));
  if (algorithm == ConvAlgorithm::direct) return windows(x, w, data_or_null(c.in[2]), y, a);
  run_winograd(tile_of(algorithm),
               {.x = x.data<float>(), .n = x.dim(0), .h = x.dim(1), .w = x.dim(2), .in = x.dim(3), .y = y.data<float>(),
                .rows = y.dim(1), .cols = y.dim(2), .out = y.dim(3), .pad_h = a.padding.h, .pad_w = a.padding.w,
                .weights = w.data<float>(), .w_out = 9 * w.dim(3), .w_in = 1, .w_tap = w.dim(3),
                .bias = data_or_null(c.in[2])});
}

// dx is the convolution of dy with the filters turned by half a turn and padded by 2 - padding.
void conv2d_grad_input(const Call& c) {
  const auto& a = c.attrs.as<Conv2dGradInputAttrs>().conv;
  const Tensor &dy = c.in[0], &w = c.in[1], &dx = c.out[0];
  const ConvAlgorithm algorithm = choose(a, w, Direction::forward, dx.dim(1), dx.dim(2));
  if (algorithm == ConvAlgorithm::direct) return spread(dy, w, nullptr, dx, a);
  run_winograd(tile_of(algorithm),
               {.x = dy.data<float>(), .n = dy.dim(0), .h = dy.dim(1), .w = dy.dim(2), .in = dy.dim(3),
                .y = dx.data<float>(), .rows = dx.dim(1), .cols = dx.dim(2), .out = dx.dim(3),
                .pad_h = 2 - a.padding.h, .pad_w = 2 - a.padding.w, .weights = w.data<float>() + 8 * w.dim(3),
                .w_out = 1, .w_in = 9 * w.dim(3), .w_tap = -w.dim(3)});
}

void conv2d_grad_weight(const Call& c) {
  const Tensor &x = c.in[0], &dy = c.in[1], &dw = c.out[0];
  const auto& a = c.attrs.as<Conv2dGradWeightAttrs>().conv;
  const ConvAlgorithm algorithm = choose(a, dw, Direction::weight, dy.dim(1), dy.dim(2));
  if (algorithm != ConvAlgorithm::direct) {
    return run_winograd_weight(tile_of(algorithm), {x.data<float>(), x.dim(0), x.dim(1), x.dim(2), x.dim(3),
                                                    dy.data<float>(), dy.dim(1), dy.dim(2), dy.dim(3), a.padding.h,
                                                    a.padding.w, dw.data<float>()});
  }
  run_conv_weight({x.data<float>(), dy.data<float>(), dw.data<float>(), x.dim(0), x.dim(1), x.dim(2), x.dim(3),
                   dy.dim(1), dy.dim(2), dy.dim(3), dw.dim(1), dw.dim(2), a});
}

void conv_transpose2d(const Call& c) {
  const auto& a = c.attrs.as<ConvTranspose2dAttrs>();
  spread(c.in[0], c.in[1], data_or_null(c.in[2]), c.out[0], {a.stride, a.padding, a.dilation, a.groups});
}

}  // namespace querent::cpu
