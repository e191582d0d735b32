// Mixed precision: a network may compute in bf16 between its doors, while parameters, statistics, gradients, losses and
// the optimizer are f32. bf16 has the exponents of f32, so that no gradient vanishes for want of range and no loss
// needs scaling; f16 would, and buys nothing on what runs here.
#pragma once
#include "tensor/ops.h"

namespace querent {

// What enters a network that computes in `type`; f64, which is for tests, stays as it is.
inline Tensor enters(const Tensor& x, DType type) { return x && x.dtype() == DType::f32 ? cast(x, type) : x; }
// What leaves it.
inline Tensor leaves(const Tensor& y) { return y && y.dtype() == DType::bf16 ? cast(y, DType::f32) : y; }
// A weight as a layer uses it on x.
inline Tensor weight_for(const Tensor& x, const Tensor& weight) {
  return x.dtype() == DType::bf16 ? cast(weight, DType::bf16) : weight;
}

}  // namespace querent
