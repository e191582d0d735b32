// Does every op compute right on this machine? Draws inputs for the cases of the op table and compares kernels with the
// f64 reference. Used by the tests and by `querent doctor`.
#pragma once
#include <string>

#include "tensor/op.h"
#include "tensor/rng.h"

namespace querent {

// Values for one input of a case: drawn in f64 and rounded to f32, so that both precisions see equal values.
Tensor draw_sample(const Sample& s, const Arg& arg, DType dtype, Rng rng);
// All inputs of a case; those that stay f32 beside bf16 are f32.
Tensors draw_inputs(const Op& op, const Case& c, DType dtype, uint64_t seed = 1);

// Runs the case and returns everything it wrote, on the host: the outputs, then the inputs it mutated.
Tensors run_case(const Op& op, const Case& c, DType dtype, uint64_t seed = 1, Device device = Device::cpu());

// The same by the reference in f64, on the values that inputs drawn in `dtype` have.
Tensors run_exactly(const Op& op, const Case& c, DType dtype, uint64_t seed = 1);

// Largest error of f32 or bf16 results against f64 ones, as a share of the bound on the rounding of a kernel that
// computes in f32: K+8 roundings per element, each at most eps of the largest result, K being the operations that the
// op's cost states per result element. What is stored in bf16 may besides differ by 2^-8 of itself, and by the share
// `between` of the largest result where a kernel stores something on the way. At most 1 is right; NaN counts as
// infinite.
double error_over_bound(const Op& op, const Case& c, const Tensors& results, const Tensors& f64, double between = 0);

// May the op's inputs be bf16 on this kind of device? On the CPU all but means over ranks may; on a GPU losses, optimizers
// and running statistics are f32 only.
bool takes_bf16(const Op& op, Device::Kind device);
// The share `between` of error_over_bound for a case on a GPU: what a kernel rounds to bf16 before it adds something.
double rounded_between(const Op& op, const Case& c, DType dtype);

struct SelfTest {
  DType dtype = DType::f32;
  int64_t cases = 0, fast_kernels = 0;  // fast: with a SIMD kernel, or on a GPU with a CUDA one
  double worst = 0;                     // largest error_over_bound
  std::string worst_case;               // "conv2d / stride 2"
};
// All cases of the op table in f32, or in bf16 where the op takes it.
SelfTest self_test(Device device = Device::cpu(), DType dtype = DType::f32);

}  // namespace querent
