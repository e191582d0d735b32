// Optimizer steps over whole arenas: one kernel a step, each array read once and what changes written once.
#include "cuda/kernel.cuh"
#include "tensor/kernels.h"
#include "tensor/op_attrs.h"

namespace querent::cuda {

void sgd_update(const Call& c) {
  const float* hyper = input(c, 3);
  elementwise(
      "sgd_update", c, c.in[0].numel(),
      [=] __device__(int64_t, float& p, float g, float& velocity) {
        const float lr = hyper[0], momentum = hyper[1], decay = hyper[2];
        const float step = g + decay * p, u = momentum * velocity + step;
        velocity = u;
        p -= lr * (hyper[3] != 0 ? step + momentum * u : u);
      },
      c.in[0].data<float>(), input(c, 1), c.in[2].data<float>());
}

void adam_update(const Call& c) {
  const bool decoupled = c.attrs.as<AdamAttrs>().decoupled;
  const float* hyper = input(c, 4);
  elementwise(
      "adam_update", c, c.in[0].numel(),
      [=] __device__(int64_t, float& p, float g, float& m, float& v) {
        const float lr = hyper[0], eps = hyper[3], decay = hyper[4];
        const float step = decoupled ? g : g + decay * p;
        m += hyper[1] * (step - m);
        v += hyper[2] * (step * step - v);
        const float decayed = decoupled ? p * (1 - lr * decay) : p;
        p = decayed - lr / hyper[5] * m / (sqrtf(v / hyper[6]) + eps);
      },
      c.in[0].data<float>(), input(c, 1), c.in[2].data<float>(), c.in[3].data<float>());
}

void accumulate(const Call& c) {
  elementwise(
      "accumulate", c, c.in[0].numel(), [=] __device__(int64_t, float& into, float x) { into += x; },
      c.in[0].data<float>(), input(c, 1));
}

}  // namespace querent::cuda
