// The kernels of batch_norm.cu, as batch_norm_plan.cpp calls them: that file has the rows of the op table.
#pragma once
#include "tensor/op.h"

namespace querent::cuda {

// With the arguments of batch_norm_train, batch_norm_relu and batch_norm_grad.
Kernel own_norm_train, own_norm_relu, own_norm_grad;

// From what these keep to what cuDNN reads, and back; eps is that of the call.
void inverse_std_of(const Call& c, const Tensor& var, const Tensor& inv_std);  // 1 / sqrt(var + eps)
void variance_of(const Call& c, const Tensor& inv_std, const Tensor& var);     // may lie where inv_std does
void positive_bits(const Call& c, const Tensor& y, const Tensor& bits);        // bit i % 8 of byte i / 8: y[i] > 0

}  // namespace querent::cuda
