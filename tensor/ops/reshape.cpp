// reshape: the same elements in the same order under another shape.   x [*] -> y [shape]
// A copy, so that every value on a tape has bytes of its own; Tensor::reshaped() is the view.
#include <cstring>

#include "tensor/kernels.h"
#include "tensor/ops.h"
#include "tensor/run.h"

namespace querent {
namespace {

std::vector<TensorSpec> infer(Inputs in, const Attrs& attrs) {
  const Shape& shape = attrs.as<ShapeAttrs>().shape;
  check(shape.numel() == in[0].numel(), "reshape: {} elements cannot become {}; x={}", in[0].numel(), shape, in[0]);
  return {{shape, in[0].dtype()}};
}
Cost cost(Inputs in, const Attrs&) { return {0, 2.0 * static_cast<double>(in[0].bytes())}; }
void ref(const Call& c) { std::memcpy(c.out[0].raw(), c.in[0].raw(), c.in[0].bytes()); }
Tensors grad(const GradCall& g) { return {reshape(g.dy[0], g.in[0].shape())}; }

std::vector<Case> cases() {
  return {
      {"flatten", {{{2, 3, 5, 7}}}, ShapeAttrs{{2, 105}}},
      {"to scalar", {{{1, 1}}}, ShapeAttrs{Shape{}}},
      {"split", {{{6, 5}}}, ShapeAttrs{{2, 3, 5}}},
      {"wrong count", {{{3, 5}}}, ShapeAttrs{{4, 4}}, "15 elements cannot become [4,4]"},
  };
}

}  // namespace

extern constinit const Op reshape_op{.name = "reshape",
                                     .formula = "y[flat index] = x[flat index]",
                                     .inputs = {{"x", "[*]"}},
                                     .outputs = {{"y", "[shape]"}},
                                     .infer = infer,
                                     .cost = cost,
                                     .grad = grad,
                                     .keep = {},
                                     .kernel = {.ref = ref, .cpu = nullptr, .cuda = cuda::reshape},
                                     .cases = cases};

Tensor reshape(const Tensor& x, const Shape& shape) { return run(reshape_op, {x}, ShapeAttrs{shape})[0]; }

}  // namespace querent
