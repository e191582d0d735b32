// sum, mean: over the listed axes (none listed: all).   broadcast_to: the adjoint of sum.
// x [*] -> y [* without the axes], or with them as size 1 when keep_axes
#include <array>

#include "tensor/kernels.h"
#include "tensor/ops.h"
#include "tensor/run.h"
#include "tensor/visit.h"

namespace querent {
namespace {

std::array<bool, Shape::max_rank> reduced_axes(const Tensor& x, const ReduceAttrs& a) {
  std::array<bool, Shape::max_rank> reduced{};
  for (int64_t axis : a.axes) {
    const int64_t i = axis < 0 ? axis + x.rank() : axis;
    check(i >= 0 && i < x.rank(), "sum: axis {} does not exist; x={}", axis, x);
    check(!reduced[static_cast<size_t>(i)], "sum: axis {} is listed twice; axes={}", axis, a.axes);
    reduced[static_cast<size_t>(i)] = true;
  }
  if (a.axes.rank() == 0) reduced.fill(true);
  return reduced;
}

std::vector<TensorSpec> infer_reduce(Inputs in, const Attrs& attrs) {
  const auto& a = attrs.as<ReduceAttrs>();
  const auto reduced = reduced_axes(in[0], a);
  Shape y;
  for (int i = 0; i < in[0].rank(); ++i) {
    if (!reduced[static_cast<size_t>(i)]) y.push_back(in[0].dim(i));
    if (reduced[static_cast<size_t>(i)] && a.keep_axes) y.push_back(1);
  }
  return {{y, in[0].dtype()}};
}

Cost cost_reduce(Inputs in, const Attrs& attrs) {
  const double n = static_cast<double>(in[0].numel());
  return {n, (n + static_cast<double>(infer_reduce(in, attrs)[0].shape.numel())) * dtype_size(in[0].dtype())};
}

// The index into y of each element of x in turn: an odometer over x's axes, with stride 0 along reduced ones.
template <class F>
void for_each_pair(const Shape& x, const std::array<int64_t, Shape::max_rank>& y_stride, F f) {
  std::array<int64_t, Shape::max_rank> at{};
  const int64_t n = x.numel();
  int64_t y = 0;
  for (int64_t i = 0; i < n; ++i) {
    f(i, y);
    for (int axis = x.rank() - 1; axis >= 0; --axis) {
      const auto k = static_cast<size_t>(axis);
      y += y_stride[k];
      if (++at[k] < x[axis]) break;
      y -= y_stride[k] * x[axis];
      at[k] = 0;
    }
  }
}

template <bool take_mean>
void ref_reduce(const Call& c) {
  const Tensor &x = c.in[0], &y = c.out[0];
  const auto reduced = reduced_axes(x, c.attrs.as<ReduceAttrs>());
  std::array<int64_t, Shape::max_rank> stride{};
  int64_t size = 1;
  for (int i = x.rank() - 1; i >= 0; --i) {
    if (reduced[static_cast<size_t>(i)]) continue;
    stride[static_cast<size_t>(i)] = size;
    size *= x.dim(i);
  }
  const double factor = take_mean ? static_cast<double>(y.numel()) / static_cast<double>(x.numel()) : 1.0;
  visit_float(x.dtype(), [&]<class T>() {
    const T* px = x.data<T>();
    T* py = y.data<T>();
    std::vector<double> total(static_cast<size_t>(y.numel()), 0.0);
    for_each_pair(x.shape(), stride,
                  [&](int64_t i, int64_t k) { total[static_cast<size_t>(k)] += static_cast<double>(px[i]); });
    for (size_t k = 0; k < total.size(); ++k) py[k] = static_cast<T>(total[k] * factor);
  });
}

// dy, with the reduced axes put back as size 1, spread over x.
Tensor spread(const GradCall& g) {
  const auto reduced = reduced_axes(g.in[0], g.attrs.as<ReduceAttrs>());
  Shape kept;
  for (int i = 0; i < g.in[0].rank(); ++i) kept.push_back(reduced[static_cast<size_t>(i)] ? 1 : g.in[0].dim(i));
  return broadcast_to(reshape(g.dy[0], kept), g.in[0].shape());
}
Tensors grad_sum(const GradCall& g) { return {spread(g)}; }
Tensors grad_mean(const GradCall& g) {
  return {scale(spread(g), static_cast<double>(g.dy[0].numel()) / static_cast<double>(g.in[0].numel()))};
}

std::vector<TensorSpec> infer_broadcast(Inputs in, const Attrs& attrs) {
  const Shape& y = attrs.as<ShapeAttrs>().shape;
  const Tensor& x = in[0];
  bool fits = x.rank() <= y.rank();
  for (int i = 1; fits && i <= x.rank(); ++i) fits = x.dim(-i) == y[-i] || x.dim(-i) == 1;
  check(fits, "broadcast_to: {} does not spread to {}; each axis, from the right, must be equal or 1", x, y);
  return {{y, x.dtype()}};
}

Cost cost_broadcast(Inputs in, const Attrs& attrs) {
  const double n = static_cast<double>(attrs.as<ShapeAttrs>().shape.numel());
  return {0, (n + static_cast<double>(in[0].numel())) * dtype_size(in[0].dtype())};
}

void ref_broadcast(const Call& c) {
  const Tensor &x = c.in[0], &y = c.out[0];
  std::array<int64_t, Shape::max_rank> stride{};
  int64_t size = 1;
  for (int i = 1; i <= x.rank(); ++i) {
    stride[static_cast<size_t>(y.rank() - i)] = x.dim(-i) == 1 ? 0 : size;
    size *= x.dim(-i);
  }
  visit_float(x.dtype(), [&]<class T>() {
    const T* px = x.data<T>();
    T* py = y.data<T>();
    for_each_pair(y.shape(), stride, [&](int64_t i, int64_t k) { py[i] = px[k]; });
  });
}

Tensors grad_broadcast(const GradCall& g) {
  const Tensor& x = g.in[0];
  const Tensor& dy = g.dy[0];
  Shape axes;
  for (int i = 0; i < dy.rank(); ++i) {
    const int k = i - (dy.rank() - x.rank());
    if (k < 0 || (x.dim(k) == 1 && dy.dim(i) != 1)) axes.push_back(i);
  }
  return {axes.rank() == 0 ? dy : reshape(sum(dy, axes), x.shape())};
}

std::vector<Case> cases_reduce() {
  return {
      {"all", {{{3, 5}}}, ReduceAttrs{}},
      {"channels of an image", {{{2, 3, 5, 7}}}, ReduceAttrs{.axes = {0, 1, 2}}},
      {"last axis", {{{3, 5, 7}}}, ReduceAttrs{.axes = {-1}}},
      {"kept axes", {{{3, 5, 7}}}, ReduceAttrs{.axes = {0, 2}, .keep_axes = true}},
      {"middle axis", {{{3, 5, 7}}}, ReduceAttrs{.axes = {1}}},
      {"no such axis", {{{3, 5}}}, ReduceAttrs{.axes = {2}}, "axis 2 does not exist"},
      {"twice", {{{3, 5}}}, ReduceAttrs{.axes = {1, -1}}, "listed twice"},
  };
}
std::vector<Case> cases_broadcast() {
  return {
      {"scalar", {Sample{Shape{}}}, ShapeAttrs{{3, 5}}},
      {"row", {{{5}}}, ShapeAttrs{{3, 5}}},
      {"column", {{{3, 1}}}, ShapeAttrs{{2, 3, 5}}},
      {"same", {{{3, 5}}}, ShapeAttrs{{3, 5}}},
      {"does not fit", {{{4}}}, ShapeAttrs{{3, 5}}, "does not spread to [3,5]"},
  };
}

}  // namespace

extern constinit const Op sum_op{.name = "sum",
                                 .formula = "y = sum of x over the axes",
                                 .inputs = {{"x", "[*]"}},
                                 .outputs = {{"y", "[*]"}},
                                 .infer = infer_reduce,
                                 .cost = cost_reduce,
                                 .grad = grad_sum,
                                 .keep = {},
                                 .kernel = {.ref = ref_reduce<false>, .cpu = cpu::sum, .cuda = cuda::sum},
                                 .cases = cases_reduce};

extern constinit const Op mean_op{.name = "mean",
                                  .formula = "y = mean of x over the axes",
                                  .inputs = {{"x", "[*]"}},
                                  .outputs = {{"y", "[*]"}},
                                  .infer = infer_reduce,
                                  .cost = cost_reduce,
                                  .grad = grad_mean,
                                  .keep = {},
                                  .kernel = {.ref = ref_reduce<true>, .cpu = cpu::mean, .cuda = cuda::mean},
                                  .cases = cases_reduce};

extern constinit const Op broadcast_to_op{.name = "broadcast_to",
                                          .formula = "y[..., i, ...] = x[..., i or 0, ...]",
                                          .inputs = {{"x", "[*]"}},
                                          .outputs = {{"y", "[*]"}},
                                          .infer = infer_broadcast,
                                          .cost = cost_broadcast,
                                          .grad = grad_broadcast,
                                          .keep = {},
                                          .kernel = {.ref = ref_broadcast, .cpu = nullptr, .cuda = cuda::broadcast_to},
                                          .cases = cases_broadcast};

Tensor sum(const Tensor& x, const Shape& axes, bool keep_axes) {
  return run(sum_op, {x}, ReduceAttrs{.axes = axes, .keep_axes = keep_axes})[0];
}
Tensor mean(const Tensor& x, const Shape& axes, bool keep_axes) {
  return run(mean_op, {x}, ReduceAttrs{.axes = axes, .keep_axes = keep_axes})[0];
}
Tensor sum(const Tensor& x) { return run(sum_op, {x}, ReduceAttrs{})[0]; }
Tensor mean(const Tensor& x) { return run(mean_op, {x}, ReduceAttrs{})[0]; }
Tensor broadcast_to(const Tensor& x, const Shape& shape) { return run(broadcast_to_op, {x}, ShapeAttrs{shape})[0]; }

}  // namespace querent
