// pad: a constant border round any axes.   x [*] -> y [before + x + after]
// crop: the block [start, start+size) of every axis.   x [*] -> y [size]
// Each is the other's gradient.
#include <array>
#include <cstring>

#include "tensor/kernels.h"
#include "tensor/ops.h"
#include "tensor/run.h"
#include "tensor/visit.h"

namespace querent {
namespace {

// Copies the block of `shape` from `from` (sizes from_shape, starting at from_start) to `to`, a run of the last axis at
// a time; the runs of one plane, the last two axes, lie equally far apart.
void copy_block(const std::byte* from, const Shape& from_shape, const Shape& from_start, std::byte* to,
                const Shape& to_shape, const Shape& to_start, const Shape& shape, size_t element) {
  if (shape.numel() == 0) return;
  const int rank = shape.rank();
  if (rank == 0) return void(std::memcpy(to, from, element));
  const int64_t run = shape[-1], rows = rank > 1 ? shape[-2] : 1, planes = shape.numel() / (run * rows);
  // Index of the first element of a plane.
  const auto first_of = [&](int64_t plane, const Shape& all, const Shape& start) {
    int64_t at = start[-1], stride = all[-1];
    for (int axis = rank - 2; axis >= 0; --axis) {
      const int64_t i = axis == rank - 2 ? 0 : plane % shape[axis];
      if (axis < rank - 2) plane /= shape[axis];
      at += (i + start[axis]) * stride;
      stride *= all[axis];
    }
    return at;
  };
#pragma omp parallel for schedule(static) if (shape.numel() > 16384)
  for (int64_t plane = 0; plane < planes; ++plane) {
    const std::byte* source = from + static_cast<size_t>(first_of(plane, from_shape, from_start)) * element;
    std::byte* target = to + static_cast<size_t>(first_of(plane, to_shape, to_start)) * element;
    for (int64_t r = 0; r < rows; ++r) {
      std::memcpy(target, source, static_cast<size_t>(run) * element);
      source += static_cast<size_t>(from_shape[-1]) * element;
      target += static_cast<size_t>(to_shape[-1]) * element;
    }
  }
}

Shape origin(int rank) {
  Shape s;
  for (int i = 0; i < rank; ++i) s.push_back(0);
  return s;
}

std::vector<TensorSpec> infer_pad(Inputs in, const Attrs& attrs) {
  const auto& a = attrs.as<PadAttrs>();
  const Tensor& x = in[0];
  check(a.before.rank() == x.rank() && a.after.rank() == x.rank(),
        "pad: needs one width for each of {} axes; before={} after={} x={}", x.rank(), a.before, a.after, x);
  Shape y;
  for (int i = 0; i < x.rank(); ++i) {
    check(a.before[i] >= 0 && a.after[i] >= 0,
          "pad: widths must not be negative (crop() takes away); before={} after={}", a.before, a.after);
    y.push_back(a.before[i] + x.dim(i) + a.after[i]);
  }
  return {{y, x.dtype()}};
}
Cost cost_pad(Inputs in, const Attrs& attrs) {
  return {0, static_cast<double>(infer_pad(in, attrs)[0].shape.numel() + in[0].numel()) * dtype_size(in[0].dtype())};
}
void ref_pad(const Call& c) {
  const auto& a = c.attrs.as<PadAttrs>();
  const Tensor &x = c.in[0], &y = c.out[0];
  y.fill(a.value);
  copy_block(static_cast<const std::byte*>(x.raw()), x.shape(), origin(x.rank()), static_cast<std::byte*>(y.raw()),
             y.shape(), a.before, x.shape(), dtype_size(x.dtype()));
}
Tensors grad_pad(const GradCall& g) {
  return {crop(g.dy[0], {.start = g.attrs.as<PadAttrs>().before, .size = g.in[0].shape()})};
}

std::vector<TensorSpec> infer_crop(Inputs in, const Attrs& attrs) {
  const auto& a = attrs.as<CropAttrs>();
  const Tensor& x = in[0];
  check(a.start.rank() == x.rank() && a.size.rank() == x.rank(),
        "crop: needs a start and a size for each of {} axes; start={} size={} x={}", x.rank(), a.start, a.size, x);
  for (int i = 0; i < x.rank(); ++i) {
    check(a.start[i] >= 0 && a.size[i] >= 0 && a.start[i] + a.size[i] <= x.dim(i),
          "crop: axis {} has {} elements, the block wants {}..{}; x={}", i, x.dim(i), a.start[i],
          a.start[i] + a.size[i], x);
  }
  return {{a.size, x.dtype()}};
}
Cost cost_crop(Inputs, const Attrs& attrs) {
  return {0, 16.0 * static_cast<double>(attrs.as<CropAttrs>().size.numel())};
}
void ref_crop(const Call& c) {
  const auto& a = c.attrs.as<CropAttrs>();
  const Tensor &x = c.in[0], &y = c.out[0];
  copy_block(static_cast<const std::byte*>(x.raw()), x.shape(), a.start, static_cast<std::byte*>(y.raw()), y.shape(),
             origin(x.rank()), y.shape(), dtype_size(x.dtype()));
}
Tensors grad_crop(const GradCall& g) {
  const auto& a = g.attrs.as<CropAttrs>();
  Shape after;
  for (int i = 0; i < a.size.rank(); ++i) after.push_back(g.in[0].dim(i) - a.start[i] - a.size[i]);
  return {pad(g.dy[0], {.before = a.start, .after = after})};
}

std::vector<Case> cases_pad() {
  return {
      {"image", {{{2, 3, 5, 3}}}, PadAttrs{{0, 1, 2, 0}, {0, 2, 0, 0}}},
      {"channels", {{{2, 3, 3}}}, PadAttrs{{0, 0, 1}, {0, 0, 4}, 2.5}},
      {"one axis", {{{7}}}, PadAttrs{{3}, {0}}},
      {"none", {{{3, 5}}}, PadAttrs{{0, 0}, {0, 0}}},
      {"rank", {{{3, 5}}}, PadAttrs{{1}, {1}}, "needs one width for each of 2 axes"},
      {"negative", {{{3, 5}}}, PadAttrs{{0, -1}, {0, 0}}, "widths must not be negative"},
  };
}
std::vector<Case> cases_crop() {
  return {
      {"image", {{{2, 5, 7, 3}}}, CropAttrs{{0, 1, 2, 0}, {2, 3, 4, 3}}},
      {"channels", {{{2, 3, 9}}}, CropAttrs{{0, 0, 4}, {2, 3, 5}}},
      {"one axis", {{{7}}}, CropAttrs{{3}, {2}}},
      {"all", {{{3, 5}}}, CropAttrs{{0, 0}, {3, 5}}},
      {"outside", {{{3, 5}}}, CropAttrs{{0, 3}, {3, 3}}, "axis 1 has 5 elements, the block wants 3..6"},
      {"rank", {{{3, 5}}}, CropAttrs{{0}, {3}}, "needs a start and a size for each of 2 axes"},
  };
}

}  // namespace

extern constinit const Op pad_op{.name = "pad",
                                 .formula = "y[before + i] = x[i], value elsewhere",
                                 .inputs = {{"x", "[*]"}},
                                 .outputs = {{"y", "[*]"}},
                                 .infer = infer_pad,
                                 .cost = cost_pad,
                                 .grad = grad_pad,
                                 .keep = {},
                                 .kernel = {.ref = ref_pad, .cpu = nullptr, .cuda = cuda::pad},
                                 .cases = cases_pad};
extern constinit const Op crop_op{.name = "crop",
                                  .formula = "y[i] = x[start + i]",
                                  .inputs = {{"x", "[*]"}},
                                  .outputs = {{"y", "[size]"}},
                                  .infer = infer_crop,
                                  .cost = cost_crop,
                                  .grad = grad_crop,
                                  .keep = {},
                                  .kernel = {.ref = ref_crop, .cpu = nullptr, .cuda = cuda::crop},
                                  .cases = cases_crop};

Tensor pad(const Tensor& x, const PadAttrs& a) { return run(pad_op, {x}, a)[0]; }
Tensor crop(const Tensor& x, const CropAttrs& a) { return run(crop_op, {x}, a)[0]; }

}  // namespace querent
