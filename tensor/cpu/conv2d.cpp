// conv2d, its two gradients and the transposed convolution as jobs for the kernels in conv_rows.cpp and
// conv_weight.cpp.
#include <algorithm>
#include <cmath>
#include <vector>

#include "tensor/program_attrs.h"
#include "tensor/cpu/conv_plan.h"
#include "tensor/cpu/scratch.h"
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
             const Epilogue& epilogue, void (*run)(const ConvJob&)) {
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
    run(j);
  }
}

// dx = every window's dy spread back over x: one job for each phase of x modulo the stride. dx row s*i + phase gets
// dy row i + (phase + p - u*d)/s through each tap u for which that is a whole number.
void spread(const Tensor& dy, const Tensor& w, const float* bias, const Tensor& dx, const Conv2dAttrs& a,
            void (*run)(const ConvJob&)) {
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
        run(j);
      }
    }
  }
}

// dx of few channels from many: first the products of each position with the whole filter, a matrix product; then each row
// of dx adds those that reach it, in the order of the taps.
void fold(const Tensor& dy, const Tensor& w, const float* bias, const Tensor& dx, const Conv2dAttrs& a) {
  const Filter f{w};
  const int64_t c = w.dim(3), each = f.per_output(), rows = dy.dim(1), cols = dy.dim(2), h = dx.dim(1), width = dx.dim(2);
  const Scratch memory(dy.dim(0) * rows * cols * each);
  const float* const products = memory.data();
  run_conv({.x = dy.data<float>(), .n = dy.dim(0), .h = rows, .w = cols, .x_channels = dy.dim(3), .x_first = 0,
            .in = dy.dim(3), .stride_h = 1, .stride_w = 1, .y = memory.data(), .rows = rows, .cols = cols,
            .y_h = rows, .y_w = cols, .y_channels = each, .y_first = 0, .out = each, .weights = w.data<float>(),
            .w_out = 1, .w_in = each, .taps = {{0, 0, 0}}});
#pragma omp parallel for schedule(static)
  for (int64_t k = 0; k < dx.dim(0) * h; ++k) {
    float* const to = dx.data<float>() + k * width * c;
    for (int64_t i = 0; i < width * c; ++i) to[i] = bias ? bias[i % c] : 0;
    for (int64_t u = 0; u < f.kh(); ++u) {
      const int64_t reach = k % h + a.padding.h - u * a.dilation.h, row = reach / a.stride.h;
      if (reach < 0 || reach % a.stride.h != 0 || row >= rows) continue;
      for (int64_t v = 0; v < f.kw(); ++v) {
        const float* from = products + (k / h * rows + row) * cols * each + (u * f.kw() + v) * c;
        int64_t col = v * a.dilation.w - a.padding.w;
        for (int64_t j = 0; j < cols; ++j, col += a.stride.w, from += each) {
          if (col < 0 || col >= width) continue;
          for (int64_t i = 0; i < c; ++i) to[col * c + i] += from[i];
        }
      }
    }
  }
}

// How a convolution is computed: a function of the shape alone.
struct Choice {
  enum Kind { direct, tiled, deep, folded, winograd } kind = direct;
  WinogradForm form = {};  // of winograd
};
enum class Direction { forward, adjoint, weight };

// The one table. n images of rows x cols are positions of the filter; the adjoint of stride 1 has as many as its result
// has pixels. Few positions with many channels read little but weights, and so do few outputs: the deep kernels.
// Winograd pays for its transforms with the number of channels; a tile wants images that it fills.
Choice choose(const Conv2dAttrs& a, const Shape& w, Direction direction, int64_t n, int64_t rows, int64_t cols) {
  const int64_t side = w[1], stride = a.stride.h, least = std::min(rows, cols), fewest = std::min(w[0], w[3]);
  const bool possible = (side == 3 || side == 4) && w[2] == side && a.stride.w == stride &&
                        (stride == 1 || (stride == 2 && side == 4)) && a.dilation.h == 1 && a.dilation.w == 1 &&
                        a.padding.h < side && a.padding.w < side;
  if (conv_algorithm() == ConvAlgorithm::direct || a.groups > 1) return {};
  const int64_t filter = w[1] * w[2] * w[3];
  if (direction == Direction::adjoint && filter <= 32 && w[0] >= 32) return {Choice::folded, {}};
  const bool forward = direction == Direction::forward, weight = direction == Direction::weight;
  const bool apart = a.padding.h == 0 && a.padding.w == 0 && a.stride.h >= w[1] && a.stride.w >= w[2] &&
                     a.dilation.h == 1 && a.dilation.w == 1;
  if (apart && forward && w[0] <= few_tiled_outputs) return {Choice::tiled, {}};
  const bool few = n * rows * cols <= (!weight ? 256 : cols < 8 ? 4096 : 1024);
  const bool deep = (few && fewest >= 32 && (!forward || filter >= 1024)) || (forward && w[0] <= 4 && w[3] >= 32);
  const Choice direct{deep ? Choice::deep : apart && !weight && w[2] > 1 ? Choice::tiled : Choice::direct, {}};
  if (!possible) return direct;
  const int taps = static_cast<int>(side / stride);
  const Choice four{Choice::winograd, {4, taps}}, six{Choice::winograd, {6, taps}};
  switch (conv_algorithm()) {
    case ConvAlgorithm::winograd2:
      return taps == 4 ? direct : four;
    case ConvAlgorithm::winograd4:
      return six;
    default:
      break;
  }
  if (taps == 3) {
    const bool thin = fewest < 16 || (weight && w[0] + w[3] < 48);
    return thin || least < 4 ? direct : least < 8 ? four : six;
  }
  if (fewest < 32) return direct;
  if (taps == 4) return least < 8 ? direct : six;
  return least < (weight ? 24 : 16) ? direct : least < 48 ? four : six;
}

const float* data_or_null(const Tensor& t) { return t ? t.data<float>() : nullptr; }

// The weights as Winograd's kernels see them (winograd.h), for filters of 3x3 or 4x4 and steps of 1 or 2.
WinogradWeights weights_of(const Shape& w, const Conv2dAttrs& a) {
  const int64_t c = w[3], row = w[2] * c, s = a.stride.h;
  return {nullptr, w[1] * row, 1, s * row, s * c, row, c};
}

WinogradJob filters_job(const Tensor& w, const Conv2dAttrs& a) {
  WinogradJob j{};
  j.in = w.dim(3), j.out = w.dim(0), j.x_step = a.stride.h;
  j.weights = weights_of(w.shape(), a);
  j.weights.weights = w.data<float>();
  return j;
}

// `filters`: those of w, transformed; none: that is done here.
void forward(const Tensor& x, const Tensor& w, const float* bias, const Tensor& y, const Conv2dAttrs& a,
             const Epilogue& epilogue, const Tensor& filters) {
  Choice choice = choose(a, w.shape(), Direction::forward, y.dim(0), y.dim(1), y.dim(2));
  if (filters) choice = {Choice::winograd, {filters.dim(0) == 36 ? 6 : 4, 3}};
  if (choice.kind == Choice::tiled)
    return run_conv_tiled({.adjoint = false, .from = x.data<float>(), .to = y.data<float>(), .n = x.dim(0), .h = x.dim(1),
                           .w = x.dim(2), .channels = x.dim(3), .rows = y.dim(1), .cols = y.dim(2), .outputs = y.dim(3),
                           .kh = w.dim(1), .kw = w.dim(2), .stride_h = a.stride.h, .stride_w = a.stride.w,
                           .weights = w.data<float>(), .bias = bias, .epilogue = epilogue});
  if (choice.kind != Choice::winograd)
    return windows(x, w, bias, y, a, epilogue, choice.kind == Choice::deep ? run_conv_deep : run_conv);
  WinogradJob j = filters_job(w, a);
  j.x = x.data<float>(), j.n = x.dim(0), j.h = x.dim(1), j.w = x.dim(2);
  j.y = y.data<float>(), j.rows = y.dim(1), j.cols = y.dim(2);
  j.pad_h = a.padding.h, j.pad_w = a.padding.w;
  j.filters = data_or_null(filters), j.bias = bias, j.epilogue = epilogue;
  run_winograd(choice.form, j);
}

// The adjoint of the convolution in x: dx is the convolution of dy with the filters turned by half a turn; with a stride
// of 2 that gives the phases of dx.
void adjoint(const Tensor& dy, const Tensor& w, const float* bias, const Tensor& dx, const Conv2dAttrs& a) {
  const bool strided = a.stride.h > 1;
  const Tensor& counted = strided ? dy : dx;
  const Choice choice = choose(a, w.shape(), Direction::adjoint, dy.dim(0), counted.dim(1), counted.dim(2));
  if (choice.kind == Choice::folded) return fold(dy, w, bias, dx, a);
  const bool covered = dx.dim(1) == dy.dim(1) * w.dim(1) && dx.dim(2) == dy.dim(2) * w.dim(2);
  if (choice.kind == Choice::tiled && covered)
    return run_conv_tiled({.adjoint = true, .from = dy.data<float>(), .to = dx.data<float>(), .n = dx.dim(0), .h = dx.dim(1),
                           .w = dx.dim(2), .channels = dx.dim(3), .rows = dy.dim(1), .cols = dy.dim(2),
                           .outputs = dy.dim(3), .kh = w.dim(1), .kw = w.dim(2), .stride_h = a.stride.h,
                           .stride_w = a.stride.w, .weights = w.data<float>(), .bias = bias});
  if (choice.kind != Choice::winograd)
    return spread(dy, w, bias, dx, a, choice.kind == Choice::deep ? run_conv_deep : run_conv);
  const int64_t s = a.stride.h, last = choice.form.taps - 1;
  WinogradWeights t = weights_of(w.shape(), a);
  t.weights = w.data<float>() + last * (t.tap_h + t.tap_w);
  std::swap(t.in, t.out);
  t.tap_h = -t.tap_h, t.tap_w = -t.tap_w;
  run_winograd(choice.form,
               {.x = dy.data<float>(), .n = dy.dim(0), .h = dy.dim(1), .w = dy.dim(2), .in = dy.dim(3),
                .y = dx.data<float>(), .rows = dx.dim(1), .cols = dx.dim(2), .out = dx.dim(3),
                .pad_h = last - a.padding.h / s, .pad_w = last - a.padding.w / s, .weights = t, .y_step = s,
                .crop_h = a.padding.h % s, .crop_w = a.padding.w % s, .bias = bias});
}

}  // namespace

void conv2d(const Call& c) {
  forward(c.in[0], c.in[1], data_or_null(c.in[2]), c.out[0], c.attrs.as<Conv2dAttrs>(), {}, {});
}

void winograd_filters(const Call& c) {
  transform_filters({static_cast<int>(c.attrs.as<WinogradAttrs>().tile) + 2, 3}, filters_job(c.in[0], {}), c.out[0].data<float>());
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

void conv2d_grad_input(const Call& c) {
  adjoint(c.in[0], c.in[1], nullptr, c.out[0], c.attrs.as<Conv2dGradInputAttrs>().conv);
}

void conv_transpose2d(const Call& c) {
  const auto& a = c.attrs.as<ConvTranspose2dAttrs>();
  adjoint(c.in[0], c.in[1], data_or_null(c.in[2]), c.out[0], {a.stride, a.padding, a.dilation, a.groups});
}

void conv2d_grad_weight(const Call& c) {
  const Tensor &x = c.in[0], &dy = c.in[1], &dw = c.out[0];
  const auto& a = c.attrs.as<Conv2dGradWeightAttrs>().conv;
  const Choice choice = choose(a, dw.shape(), Direction::weight, dy.dim(0), dy.dim(1), dy.dim(2));
  if (choice.kind == Choice::winograd) {
    return run_winograd_weight(
        choice.form, {x.data<float>(), x.dim(0), x.dim(1), x.dim(2), x.dim(3), dy.data<float>(), dy.dim(1), dy.dim(2),
                      dy.dim(3), a.padding.h, a.padding.w, dw.data<float>(), weights_of(dw.shape(), a), a.stride.h});
  }
  const auto run = choice.kind == Choice::deep ? run_conv_weight_deep : run_conv_weight;
  run({x.data<float>(), dy.data<float>(), dw.data<float>(), x.dim(0), x.dim(1), x.dim(2), x.dim(3),
                   dy.dim(1), dy.dim(2), dy.dim(3), dw.dim(1), dw.dim(2), a});
}

int64_t winograd_tile(const Conv2dAttrs& a, const Shape& w, int64_t rows, int64_t cols) {
  const Choice choice = choose(a, w, Direction::forward, 1, rows, cols);  // for 3x3 filters n does not matter
  return choice.kind == Choice::winograd && choice.form.taps == 3 ? choice.form.tile() : 0;
}

namespace {

int64_t up_to(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

// Floats of one call, as winograd.cpp takes them. The image whose pixels are taken by phases has `phased` channels, the
// other one `plain`.
int64_t winograd_scratch(WinogradForm form, Direction direction, int64_t n, int64_t rows, int64_t cols, int64_t stride,
                         int64_t phased, int64_t plain) {
  const int64_t m = form.tile(), products = form.points * form.points, phases = stride * stride;
  const int64_t tiles = n * ((rows + m - 1) / m) * ((cols + m - 1) / m);
  const bool few = direction == Direction::weight ? winograd_few(phases * phased, plain, tiles)
                                                  : winograd_by_panels(phases * phased, plain, tiles);
  if (direction == Direction::weight) {
    const int64_t width = phased <= 16 ? 16 : 32, each = up_to(phased, width);
    const int64_t in = row_stride((phases - 1) * phased + each), out = row_stride(up_to(plain, 16));
    const int64_t block = few ? tiles : winograd_weight_block(products, in, out, tiles);
    const int64_t sums = few ? threads() * plane_stride(std::min<int64_t>(winograd_sums * 14, plain) * width)
                             : plane_stride(plain * row_stride(phases * each));
    return products * (plane_stride(block * in) + plane_stride(block * out) + sums);
  }
  const bool backward = direction == Direction::adjoint;
  const int64_t to = backward ? phased : plain, depth = backward ? plain : phases * phased;
  const int64_t in = row_stride(up_to(depth, 16));
  const int64_t part = winograd_runs * 16, channels = backward ? plain : phased;
  const int64_t inputs = channels % part == 0 ? depth / part * plane_stride(tiles * part) : plane_stride(tiles * in);
  if (few)
    return products * (inputs +
                       threads() * (plane_stride(tiles * filter_panel) + plane_stride(winograd_runs * 16 * filter_panel)));
  const int64_t out_phases = backward ? phases : 1, out = row_stride(out_phases * up_to(to, to <= 16 ? 16 : 32));
  const int64_t block = winograd_block(products, in, out);
  return products * (depth * out_phases * up_to(to, filter_panel) +
                     threads() * (plane_stride(block * in) + plane_stride(block * out)));
}
// The same for few positions (conv_deep.cpp); of the adjoint, of one phase.
int64_t deep_scratch(Direction direction, int64_t positions, int64_t in, int64_t out, int64_t taps) {
  if (direction == Direction::weight) return threads() * std::min<int64_t>(positions, 256) * (up_to(in, 32) + 224);
  if (direction == Direction::forward) return threads() * std::min<int64_t>(positions, 256) * 64;
  return positions * row_stride(taps * out) + threads() * (positions + 64) * 128;
}
// The same for windows side by side (conv_tiled.cpp).
int64_t tiled_scratch(Direction direction, int64_t in, int64_t out, int64_t kh, int64_t kw) {
  const bool adjoint = direction == Direction::adjoint;
  if (!adjoint && out <= few_tiled_outputs) return 0;
  const int64_t depth = adjoint ? out : kh * kw * in, columns = adjoint ? kw * in : out, width = columns <= 16 ? 16 : 32;
  const int64_t ld = row_stride(depth);
  return (adjoint ? kh : 1) * up_to(columns, width) * (depth + 1) + 16 + threads() * up_to(tiled_positions(ld) * (ld + width), 16);
}
// The same for direct kernels: packed filters, and patches of narrow images or planes for each thread (conv_rows.cpp).
int64_t direct_scratch(int64_t in, int64_t out, int64_t kh, int64_t kw, int64_t stride, int64_t cols, int64_t pixels) {
  const int64_t packed = (kh * kw * in + 1) * up_to(out, out <= 16 ? 16 : 32) + 16, tile = kh * kw * in * 14;
  if (cols < 7) return packed + std::clamp<int64_t>((512 << 10) / tile, 1, (pixels + 13) / 14) * tile + 16;
  return packed + threads() * up_to((7 * stride + kh) * std::min(stride, kw) * in * (cols + kw + 14), 16);
}
// The same for the weight gradient: sums of one size, those of small filters for each of 16 parts (conv_weight.cpp).
int64_t weight_scratch(int64_t sums) { return (sums <= 32768 ? 16 * sums : sums) + 16; }

// f(choice, attributes, filters, direction, image, positions) when the call is a convolution or one of its gradients.
template <class F>
void with_choice(const Op& op, const Call& c, F f) {
  const auto of = [&](const Conv2dAttrs& a, const Shape& w, Direction d, const Tensor& image, const Tensor& positions) {
    const Tensor& counted = d == Direction::adjoint && a.stride.h == 1 ? image : positions;
    f(choose(a, w, d, counted.dim(0), counted.dim(1), counted.dim(2)), a, w, d, image, positions);
  };
  if (op.name == "conv2d") {
    of(c.attrs.as<Conv2dAttrs>(), c.in[1].shape(), Direction::forward, c.in[0], c.out[0]);
  } else if (op.name == "conv2d_epilogue") {
    of(c.attrs.as<Conv2dEpilogueAttrs>().conv, c.in[1].shape(), Direction::forward, c.in[0], c.out[0]);
  } else if (op.name == "conv2d_grad_input") {
    of(c.attrs.as<Conv2dGradInputAttrs>().conv, c.in[1].shape(), Direction::adjoint, c.out[0], c.in[0]);
  } else if (op.name == "conv_transpose2d") {
    const auto& a = c.attrs.as<ConvTranspose2dAttrs>();
    of({a.stride, a.padding, a.dilation, a.groups}, c.in[1].shape(), Direction::adjoint, c.out[0], c.in[0]);
  } else if (op.name == "conv2d_grad_weight") {
    of(c.attrs.as<Conv2dGradWeightAttrs>().conv, c.out[0].shape(), Direction::weight, c.in[0], c.in[1]);
  }
}

}  // namespace

std::string algorithm(const Op& op, const Call& c) {
  std::string name;
  with_choice(op, c, [&](const Choice& choice, auto&&...) {
    constexpr const char* kinds[] = {"direct", "tiled", "deep", "folded"};
    name = choice.kind == Choice::winograd ? text("winograd F({},{})", choice.form.tile(), choice.form.taps)
                                           : kinds[choice.kind];
  });
  return name;
}

int64_t scratch_floats(const Op& op, const Call& c) {
  int64_t floats = 0;
  with_choice(op, c, [&](const Choice& choice, const Conv2dAttrs& a, const Shape& w, Direction d, const Tensor& image,
                         const Tensor& positions) {
    const Tensor& counted = d == Direction::adjoint && a.stride.h == 1 ? image : positions;
    const int64_t in = image.dim(3), out = positions.dim(3);
    if (choice.kind == Choice::winograd)
      floats = winograd_scratch(choice.form, d, image.dim(0), counted.dim(1) + (d == Direction::adjoint ? a.stride.h - 1 : 0),
                                counted.dim(2) + (d == Direction::adjoint ? a.stride.h - 1 : 0), a.stride.h, in, out);
    else if (choice.kind == Choice::folded)
      floats = positions.numel() / out * w[1] * w[2] * in + 16 +
               direct_scratch(out, w[1] * w[2] * in, 1, 1, 1, positions.dim(2), positions.numel() / out);
    else if (choice.kind == Choice::tiled)
      floats = tiled_scratch(d, in, out, w[1], w[2]);
    else if (choice.kind == Choice::deep)
      floats = deep_scratch(d, counted.numel() / counted.dim(3), in, out,
                            (w[1] + a.stride.h - 1) / a.stride.h * ((w[2] + a.stride.w - 1) / a.stride.w));
    else if (d == Direction::forward)
      floats = direct_scratch(in, out, w[1], w[2], a.stride.w, positions.dim(2), positions.numel() / out);
    else if (d == Direction::adjoint)
      floats = direct_scratch(out, in, w[1], w[2], 1, (image.dim(2) + a.stride.w - 1) / a.stride.w, image.numel() / in);
    else
      floats = weight_scratch(w.numel() / out * up_to(out / a.groups, 32) * a.groups);
  });
  return floats;
}

}  // namespace querent::cpu
