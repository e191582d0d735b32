// Scalar functions and their gradients, from the functors of tensor/ops/pointwise.h.
#include "tensor/ops/pointwise.h"

#include "cuda/kernel.cuh"
#include "tensor/kernels.h"
#include "tensor/op_attrs.h"

namespace querent::cuda {

// Reads x, writes y.
template <class F>
void function(std::string_view op, const Call& c, F fn) {
  elementwise(
      op, c, c.out[0].numel(), [=] __device__(int64_t, float& y, float x) { y = fn.f(x); }, results(c), values(c, 0));
}
// Reads s (x or y) and dy, writes dx.
template <class F>
void derivative(std::string_view op, const Call& c, F fn) {
  elementwise(
      op, c, c.out[0].numel(), [=] __device__(int64_t, float& dx, float s, float dy) { dx = fn.df(s, dy); }, results(c),
      values(c, 0), values(c, 1));
}

namespace {
pointwise::LeakyRelu leaky(const Call& c) { return {.slope = c.attrs.as<SlopeAttrs>().slope}; }
}  // namespace

void relu(const Call& c) { function("relu", c, pointwise::Relu{}); }
void leaky_relu(const Call& c) { function("leaky_relu", c, leaky(c)); }
void sigmoid(const Call& c) { function("sigmoid", c, pointwise::Sigmoid{}); }
void tanh(const Call& c) { function("tanh", c, pointwise::Tanh{}); }
void exp(const Call& c) { function("exp", c, pointwise::Exp{}); }
void log(const Call& c) { function("log", c, pointwise::Log{}); }
void softplus(const Call& c) { function("softplus", c, pointwise::Softplus{}); }
void square(const Call& c) { function("square", c, pointwise::Square{}); }
void sqrt(const Call& c) { function("sqrt", c, pointwise::Sqrt{}); }
void relu_grad(const Call& c) { derivative("relu_grad", c, pointwise::Relu{}); }
void leaky_relu_grad(const Call& c) { derivative("leaky_relu_grad", c, leaky(c)); }
void sigmoid_grad(const Call& c) { derivative("sigmoid_grad", c, pointwise::Sigmoid{}); }
void tanh_grad(const Call& c) { derivative("tanh_grad", c, pointwise::Tanh{}); }
void exp_grad(const Call& c) { derivative("exp_grad", c, pointwise::Exp{}); }
void log_grad(const Call& c) { derivative("log_grad", c, pointwise::Log{}); }
void softplus_grad(const Call& c) { derivative("softplus_grad", c, pointwise::Softplus{}); }
void square_grad(const Call& c) { derivative("square_grad", c, pointwise::Square{}); }
void sqrt_grad(const Call& c) { derivative("sqrt_grad", c, pointwise::Sqrt{}); }

}  // namespace querent::cuda
