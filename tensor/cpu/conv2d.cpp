// conv2d, its two gradients and the transposed convolution as jobs for the kernels in conv_rows.cpp and
// conv_weight.cpp.
#include <algorithm>
#include <cmath>
#include <vector>

#include "tensor/program_attrs.h"
#include "tensor/cpu/conv_plan.h"
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
void windows(const Tensor& x, const Tensor& w, const float* bias, const Tensor& y, const Conv2dAttrs& a,
             const Epilogue& epilogue) {
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
    j.epilogue = epilogue;
    if (epilogue.factor) j.epilogue = {epilogue.shift + g * og, epilogue.factor + g * og, epilogue.offset + g * og, epilogue.relu};
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
ConvAlgorithm choose(const Conv2dAttrs& a, const Shape& w, Direction direction, int64_t rows, int64_t cols) {
  const bool possible = w[1] == 3 && w[2] == 3 && a.stride.h == 1 && a.stride.w == 1 && a.dilation.h == 1 &&
                        a.dilation.w == 1 && a.groups == 1 && a.padding.h <= 2 && a.padding.w <= 2;
  if (!possible) return ConvAlgorithm::direct;
  if (conv_algorithm() != ConvAlgorithm::automatic) return conv_algorithm();
  const int64_t fewest = std::min(w[0], w[3]);
  const bool few = direction == Direction::weight ? fewest < 16 || w[0] + w[3] < 48 : fewest < 16;
  if (few) return ConvAlgorithm::direct;
  return std::min(rows, cols) >= 8 ? ConvAlgorithm::winograd4
         : std::min(rows, cols) >= 4 ? ConvAlgorithm::winograd2 : ConvAlgorithm::direct;
}
int tile_of(ConvAlgorithm a) { return a == ConvAlgorithm::winograd4 ? 4 : 2; }

const float* data_or_null(const Tensor& t) { return t ? t.data<float>() : nullptr; }

WinogradJob filters_job(const Tensor& w) {
  WinogradJob j{};
  j.in = w.dim(3), j.out = w.dim(0);
  j.weights = w.data<float>(), j.w_out = 9 * w.dim(3), j.w_in = 1, j.w_tap = w.dim(3);
  return j;
}

// `filters`: those of w, transformed; none: that is done here.
void forward(const Tensor& x, const Tensor& w, const float* bias, const Tensor& y, const Conv2dAttrs& a,
             const Epilogue& epilogue, const Tensor& filters) {
  const int64_t tile = filters ? (filters.dim(0) == 36 ? 4 : 2) : winograd_tile(a, w.shape(), y.dim(1), y.dim(2));
  if (tile == 0) return windows(x, w, bias, y, a, epilogue);
  run_winograd(static_cast<int>(tile),
               {.x = x.data<float>(), .n = x.dim(0), .h = x.dim(1), .w = x.dim(2), .in = x.dim(3), .y = y.data<float>(),
                .rows = y.dim(1), .cols = y.dim(2), .out = y.dim(3), .pad_h = a.padding.h, .pad_w = a.padding.w,
                .weights = w.data<float>(), .w_out = 9 * w.dim(3), .w_in = 1, .w_tap = w.dim(3), .filters = data_or_null(filters),
                .bias = bias, .epilogue = epilogue});
}

}  // namespace

void conv2d(const Call& c) {
  forward(c.in[0], c.in[1], data_or_null(c.in[2]), c.out[0], c.attrs.as<Conv2dAttrs>(), {}, {});
}

void winograd_filters(const Call& c) {
  transform_filters(static_cast<int>(c.attrs.as<WinogradAttrs>().tile), filters_job(c.in[0]), c.out[0].data<float>());
}

void conv2d_epilogue(const Call& c) {  // x w b gamma beta mean var filters
  const auto& a = c.attrs.as<Conv2dEpilogueAttrs>();
  Epilogue e{.relu = a.relu};
  std::vector<float> factor;
  if (c.in[3]) {
    const float *gamma = c.in[3].data<float>(), *var = c.in[6].data<float>();
    for (int64_t k = 0; k < c.in[3].numel(); ++k)
      factor.push_back(static_cast<float>(static_cast<double>(gamma[k]) / std::sqrt(static_cast<double>(var[k]) + a.eps)));
    e.shift = c.in[5].data<float>(), e.factor = factor.data(), e.offset = c.in[4].data<float>();
  }
  forward(c.in[0], c.in[1], data_or_null(c.in[2]), c.out[0], a.conv, e, c.in[7]);
}

// dx is the convolution of dy with the filters turned by half a turn and padded by 2 - padding.
void conv2d_grad_input(const Call& c) {
  const auto& a = c.attrs.as<Conv2dGradInputAttrs>().conv;
  const Tensor &dy = c.in[0], &w = c.in[1], &dx = c.out[0];
  const ConvAlgorithm algorithm = choose(a, w.shape(), Direction::forward, dx.dim(1), dx.dim(2));
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
  const ConvAlgorithm algorithm = choose(a, dw.shape(), Direction::weight, dy.dim(1), dy.dim(2));
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

namespace {

int64_t up_to(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

// Floats: transformed filters and, for each thread, the transforms of a block of tiles (winograd.cpp).
int64_t forward_scratch(ConvAlgorithm algorithm, int64_t in, int64_t out, int64_t taps, int64_t cols) {
  const int64_t wide = up_to(out, out <= 16 ? 16 : 32);
  if (algorithm == ConvAlgorithm::direct) return taps * in * wide + threads() * (8 + taps) * in * (cols + 32);
  const int64_t m = tile_of(algorithm), X = (m + 2) * (m + 2), sum = up_to(in, 16) + wide;
  const int64_t block = std::clamp<int64_t>((int64_t{1} << 20) / (X * sum * 4) / 14, 2, 16) * 14;
  return X * in * up_to(out, filter_panel) + threads() * X * block * sum;
}

}  // namespace

int64_t winograd_tile(const Conv2dAttrs& a, const Shape& w, int64_t rows, int64_t cols) {
  const ConvAlgorithm algorithm = choose(a, w, Direction::forward, rows, cols);
  return algorithm == ConvAlgorithm::direct ? 0 : tile_of(algorithm);
}

size_t scratch_bytes(const Op& op, const Call& c) {
  int64_t floats = 0;
  if (op.name == "conv2d" || op.name == "conv2d_epilogue" || op.name == "conv2d_grad_input") {
    const bool forward = op.name != "conv2d_grad_input";
    const Tensor &x = c.in[0], &w = c.in[1], &y = c.out[0];
    const Conv2dAttrs& a = op.name == "conv2d"            ? c.attrs.as<Conv2dAttrs>()
                           : op.name == "conv2d_epilogue" ? c.attrs.as<Conv2dEpilogueAttrs>().conv
                                                          : c.attrs.as<Conv2dGradInputAttrs>().conv;
    const Tensor& rows = forward ? y : x;
    floats = forward_scratch(choose(a, w.shape(), Direction::forward, y.dim(1), y.dim(2)), x.dim(3), y.dim(3), w.dim(1) * w.dim(2),
                             rows.dim(2));
  } else if (op.name == "conv2d_grad_weight") {
    const Tensor &dy = c.in[1], &dw = c.out[0];
    const ConvAlgorithm algorithm =
        choose(c.attrs.as<Conv2dGradWeightAttrs>().conv, dw.shape(), Direction::weight, dy.dim(1), dy.dim(2));
    const int64_t in = up_to(c.in[0].dim(3), c.in[0].dim(3) <= 16 ? 16 : 32), out = up_to(dy.dim(3), 16);
    const int64_t m = tile_of(algorithm), X = (m + 2) * (m + 2);
    if (algorithm != ConvAlgorithm::direct)
      floats = X * std::clamp<int64_t>((int64_t{4} << 20) / (X * (in + out) * 4), 16, 1024) * (in + out) + X * dy.dim(3) * in;
  }
  return static_cast<size_t>(floats) * sizeof(float);
}

}  // namespace querent::cpu
