// concat: tensors one after another along an axis; all other axes are equal.   x_k [.., S_k, ..] -> y [.., sum S_k, ..]
#include <cstring>

#include "tensor/kernels.h"
#include "tensor/ops.h"
#include "tensor/run.h"

namespace querent {
namespace {

int axis_of(Inputs in, const Attrs& attrs) {
  const int64_t a = attrs.as<AxisAttrs>().axis;
  const int64_t axis = a < 0 ? a + in[0].rank() : a;
  check(axis >= 0 && axis < in[0].rank(), "concat: axis {} does not exist; first input {}", a, in[0]);
  return static_cast<int>(axis);
}

std::vector<TensorSpec> infer(Inputs in, const Attrs& attrs) {
  const int axis = axis_of(in, attrs);
  Shape y = in[0].shape();
  for (size_t k = 1; k < in.size(); ++k) {
    Shape expected = in[0].shape();
    if (in[k].rank() == expected.rank()) expected[axis] = in[k].dim(axis);
    check(in[k].shape() == expected && in[k].dtype() == in[0].dtype(),
          "concat: all axes but axis {} must be equal; input 0 is {} and input {} is {}", axis, in[0], k, in[k]);
    y[axis] += in[k].dim(axis);
  }
  return {{y, in[0].dtype()}};
}

Cost cost(Inputs in, const Attrs&) {
  double bytes = 0;
  for (const Tensor& t : in) bytes += 2.0 * static_cast<double>(t.bytes());
  return {0, bytes};
}

// Everything before the axis is a row; each input gives the row one run of bytes.
void ref(const Call& c) {
  const int axis = axis_of(c.in, c.attrs);
  const Tensor& y = c.out[0];
  int64_t rows = 1;
  for (int i = 0; i < axis; ++i) rows *= y.dim(i);
  if (y.numel() == 0) return;
  const size_t y_row = y.bytes() / static_cast<size_t>(rows);
  size_t offset = 0;
  for (const Tensor& x : c.in) {
    const size_t x_row = x.bytes() / static_cast<size_t>(rows);
    const auto* from = static_cast<const std::byte*>(x.raw());
    auto* to = static_cast<std::byte*>(y.raw()) + offset;
#pragma omp parallel for schedule(static) if (y.bytes() > 100000)
    for (int64_t r = 0; r < rows; ++r) {
      std::memcpy(to + static_cast<size_t>(r) * y_row, from + static_cast<size_t>(r) * x_row, x_row);
    }
    offset += x_row;
  }
}

Tensors grad(const GradCall& g) {
  const int axis = axis_of(g.in, g.attrs);
  Tensors d(g.in.size());
  Shape start;
  for (int i = 0; i < g.in[0].rank(); ++i) start.push_back(0);
  for (size_t k = 0; k < g.in.size(); ++k) {
    if (g.need[k]) d[k] = crop(g.dy[0], {.start = start, .size = g.in[k].shape()});
    start[axis] += g.in[k].dim(axis);
  }
  return d;
}

std::vector<Case> cases() {
  return {
      {"channels", {{{2, 3, 5, 3}}, {{2, 3, 5, 4}}}, AxisAttrs{}},
      {"rows", {{{2, 3}}, {{5, 3}}, {{1, 3}}}, AxisAttrs{.axis = 0}},
      {"one", {{{3, 5}}}, AxisAttrs{}},
      {"many channels", {{{1, 3, 3, 37}}, {{1, 3, 3, 16}}}, AxisAttrs{.axis = 3}},
      {"other axes differ", {{{2, 3}}, {{3, 4}}}, AxisAttrs{}, "all axes but axis 1 must be equal"},
      {"axis", {{{2, 3}}}, AxisAttrs{.axis = 2}, "axis 2 does not exist"},
  };
}

}  // namespace

extern constinit const Op concat_op{.name = "concat",
                                    .formula = "y[.., offset_k + i, ..] = x_k[.., i, ..]",
                                    .inputs = {{"x", "[*]", Arg::variadic}},
                                    .outputs = {{"y", "[*]"}},
                                    .infer = infer,
                                    .cost = cost,
                                    .grad = grad,
                                    .keep = {},
                                    .kernel = {.ref = ref, .cpu = nullptr, .cuda = cuda::concat},
                                    .cases = cases};

Tensor concat(const Tensors& parts, int64_t axis) { return run(concat_op, parts, AxisAttrs{axis})[0]; }

}  // namespace querent
