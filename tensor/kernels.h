// The fast kernels by name. tensor/cpu/<file>.cpp implements CPU_KERNEL names; cuda/<file>.cu the CUDA_KERNELS.
//
// What a row names as cuda::relu is the kernel of cuda/ where a program links it, as the emulator's tests do; else a
// weak definition in tensor/backend.cpp, which calls that of the module. So there are no stub files, and the same engine
// serves with the backend, without it, and under the emulator.
#pragma once
#include "tensor/op.h"

// One line per file of tensor/ops.
// clang-format off
#define CUDA_KERNELS(one) \
  one(add) one(sub) one(mul) one(div) one(bias_add) one(scale) \
  one(conv2d) one(conv2d_grad_input) one(conv2d_grad_weight) \
  one(conv_transpose2d) \
  one(pad) one(crop) \
  one(concat) \
  one(cast) one(assign) \
  one(max_pool2d) one(max_pool2d_grad) one(avg_pool2d) one(avg_pool2d_grad) \
  one(adaptive_avg_pool2d) one(adaptive_avg_pool2d_grad) \
  one(upsample_nearest) one(upsample_nearest_grad) \
  one(upsample_bilinear) one(upsample_bilinear_grad) \
  one(matmul) \
  one(sum) one(mean) one(broadcast_to) \
  one(rank_mean) one(begin_rank_mean) one(end_rank_mean) \
  one(reshape) \
  one(relu) one(leaky_relu) one(sigmoid) one(tanh) one(exp) \
  one(log) one(softplus) one(square) one(sqrt) \
  one(relu_grad) one(leaky_relu_grad) one(sigmoid_grad) one(tanh_grad) one(exp_grad) \
  one(log_grad) one(softplus_grad) one(square_grad) one(sqrt_grad) \
  one(softmax) one(log_softmax) one(softmax_grad) one(log_softmax_grad) \
  one(batch_norm_train) one(batch_norm_grad) one(batch_norm_eval) one(batch_norm_eval_grad) \
  one(batch_norm_relu) \
  one(add_relu) one(add_relu_grad) \
  one(update_running_stats) \
  one(instance_norm) one(instance_norm_grad) \
  one(dropout) \
  one(cross_entropy) one(cross_entropy_grad) \
  one(bce_with_logits) one(bce_with_logits_grad) \
  one(l1_loss) one(l1_loss_grad) one(mse_loss) one(mse_loss_grad) \
  one(soft_dice_loss) one(soft_dice_loss_grad) \
  one(normalized_mutual_information) one(normalized_mutual_information_grad) \
  one(gaussian_nll) one(gaussian_nll_grad) \
  one(sampled_cross_entropy) one(sampled_cross_entropy_grad) \
  one(sgd_update) one(adam_update) one(accumulate)

#define CPU_KERNEL(name) \
  namespace cpu {        \
  Kernel name;           \
  }

namespace querent {
namespace cuda {
#define CUDA_KERNEL(name) Kernel name;
CUDA_KERNELS(CUDA_KERNEL)
#undef CUDA_KERNEL
}
CPU_KERNEL(conv2d) CPU_KERNEL(conv2d_grad_input) CPU_KERNEL(conv2d_grad_weight) CPU_KERNEL(conv_transpose2d)
CPU_KERNEL(matmul) CPU_KERNEL(matmul_update)
CPU_KERNEL(add) CPU_KERNEL(sub) CPU_KERNEL(mul) CPU_KERNEL(bias_add) CPU_KERNEL(scale)
CPU_KERNEL(max_pool2d) CPU_KERNEL(max_pool2d_grad)
CPU_KERNEL(sum) CPU_KERNEL(mean)
CPU_KERNEL(dropout)
CPU_KERNEL(batch_norm_train) CPU_KERNEL(batch_norm_eval) CPU_KERNEL(batch_norm_grad)
CPU_KERNEL(relu) CPU_KERNEL(relu_grad) CPU_KERNEL(leaky_relu) CPU_KERNEL(leaky_relu_grad) CPU_KERNEL(sigmoid) CPU_KERNEL(sigmoid_grad) CPU_KERNEL(tanh_grad)
CPU_KERNEL(bce_with_logits) CPU_KERNEL(bce_with_logits_grad)
CPU_KERNEL(sampled_cross_entropy) CPU_KERNEL(sampled_cross_entropy_grad)
CPU_KERNEL(add_relu) CPU_KERNEL(add_relu_grad)
CPU_KERNEL(batch_norm_relu) CPU_KERNEL(conv2d_epilogue) CPU_KERNEL(winograd_filters)
CPU_KERNEL(sgd_update) CPU_KERNEL(adam_update) CPU_KERNEL(accumulate)
// clang-format on
}  // namespace querent
