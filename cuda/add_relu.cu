// add_relu and add_relu_grad. In bf16 the sum is rounded before the ReLU, as ops of their own would do.
#include "cuda/kernel.cuh"
#include "tensor/kernels.h"
#include "tensor/ops/pointwise.h"

namespace querent::cuda {

// Reads a and b, writes y.
void add_relu(const Call& c) {
  const Results y = results(c);
  elementwise(
      "add_relu", c, c.out[0].numel(),
      [=] __device__(int64_t, float& out, float a, float b) { out = pointwise::Relu{}.f(y.rounded(a + b)); }, y,
      values(c, 0), values(c, 1));
}
// Reads y, dy1 and dy2, writes dx.
void add_relu_grad(const Call& c) {
  elementwise(
      "add_relu_grad", c, c.out[0].numel(),
      [=] __device__(int64_t, float& dx, float y, float dy1, float dy2) {
        dx = pointwise::Relu{}.df(y, dy1 + dy2);
      },
      results(c), values(c, 0), values(c, 1), values(c, 2));
}

}  // namespace querent::cuda
