// add_relu:      y = max(0, a + b)                  the end of a residual block
// add_relu_grad: dx = y > 0 ? dy1 + dy2 : 0         where such an end has two readers
// All [*], of one shape.
//
// No network runs them eagerly: a Program puts them in the place of two ops each (fuse.cpp), with the same bits.
#include "tensor/kernels.h"
#include "tensor/ops.h"
#include "tensor/ops/checks.h"
#include "tensor/ops/pointwise.h"
#include "tensor/run.h"
#include "tensor/visit.h"

namespace querent {

extern const Op relu_grad_op;

namespace {

std::vector<TensorSpec> infer(Inputs in, const Attrs&) {
  check_same_shape("add_relu", "b", in[1], "a", in[0]);
  return {{in[0].shape(), in[0].dtype()}};
}
std::vector<TensorSpec> infer_grad(Inputs in, const Attrs&) {
  check_same_shape("add_relu_grad", "dy1", in[1], "y", in[0]);
  check_same_shape("add_relu_grad", "dy2", in[2], "y", in[0]);
  return {{in[0].shape(), in[0].dtype()}};
}
Cost cost(Inputs in, const Attrs&) {
  return {2 * static_cast<double>(in[0].numel()), traffic(in) + static_cast<double>(in[0].bytes())};
}
void ref(const Call& c) {
  visit_float(c.out[0].dtype(), [&]<class T>() {
    const T *a = c.in[0].data<T>(), *b = c.in[1].data<T>();
    T* y = c.out[0].data<T>();
    for (int64_t i = 0; i < c.in[0].numel(); ++i) y[i] = pointwise::Relu{}.f(static_cast<T>(a[i] + b[i]));
  });
}
void ref_grad(const Call& c) {
  visit_float(c.out[0].dtype(), [&]<class T>() {
    const T *y = c.in[0].data<T>(), *dy1 = c.in[1].data<T>(), *dy2 = c.in[2].data<T>();
    T* dx = c.out[0].data<T>();
    for (int64_t i = 0; i < c.in[0].numel(); ++i) dx[i] = pointwise::Relu{}.df(y[i], static_cast<T>(dy1[i] + dy2[i]));
  });
}
Tensors grad(const GradCall& g) {
  const Tensor dx = run(relu_grad_op, {g.out[0], g.dy[0]})[0];
  return {dx, dx};
}

std::vector<Case> cases() {
  const auto a = [](Shape s) { return Sample{s, Sample::away_from_zero, 4}; };  // no kink within a difference's step
  const auto b = [](Shape s) { return Sample{s, Sample::uniform, 0.05}; };
  return {
      {"image", {a({2, 3, 5, 7}), b({2, 3, 5, 7})}, {}},
      {"scalar", {a(Shape{}), b(Shape{})}, {}},
      {"long", {a({3, 343}), b({3, 343})}, {}},
      {"shapes", {{{3, 5}}, {{5}}}, {}, "b must have the shape of a"},
  };
}
std::vector<Case> cases_grad() {
  return {
      {"image", {{{2, 3, 5, 7}}, {{2, 3, 5, 7}}, {{2, 3, 5, 7}}}, {}},
      {"scalar", {{Shape{}}, {Shape{}}, {Shape{}}}, {}},
      {"long", {{{3, 343}}, {{3, 343}}, {{3, 343}}}, {}},
      {"dy1", {{{3, 5}}, {{5, 3}}, {{3, 5}}}, {}, "dy1 must have the shape of y"},
      {"dy2", {{{3, 5}}, {{3, 5}}, {{5}}}, {}, "dy2 must have the shape of y"},
  };
}

}  // namespace

extern constinit const Op add_relu_op{.name = "add_relu",
                                      .formula = "y = max(a + b, 0)",
                                      .inputs = {{"a", "[*]"}, {"b", "[*]"}},
                                      .outputs = {{"y", "[*]"}},
                                      .infer = infer,
                                      .cost = cost,
                                      .grad = grad,
                                      .keep = {"y"},
                                      .kernel = {.ref = ref, .cpu = cpu::add_relu, .cuda = cuda::add_relu},
                                      .cases = cases};
extern constinit const Op add_relu_grad_op{.name = "add_relu_grad",
                                           .formula = "dx = y > 0 ? dy1 + dy2 : 0",
                                           .inputs = {{"y", "[*]"}, {"dy1", "[*]"}, {"dy2", "[*]"}},
                                           .outputs = {{"dx", "[*]"}},
                                           .infer = infer_grad,
                                           .cost = cost,
                                           .grad = no_gradient,
                                           .keep = {},
                                           .kernel = {.ref = ref_grad, .cpu = cpu::add_relu_grad, .cuda = cuda::add_relu_grad},
                                           .cases = cases_grad};

}  // namespace querent
