// The fast kernels by name. tensor/cpu/<file>.cpp implements CPU_KERNEL names; cuda/<file>.cu the CUDA_KERNEL ones.
// A CUDA_KERNEL is a weak name: null unless the CUDA backend is linked. So there are no stub files, and the same engine
// serves with the backend, without it, and under the emulator of the tests.
#pragma once
#include "tensor/op.h"

#define CPU_KERNEL(name) \
  namespace cpu {        \
  Kernel name;           \
  }
#define CUDA_KERNEL(name)    \
  namespace cuda {           \
  [[gnu::weak]] Kernel name; \
  }

namespace querent {
// One line per file of tensor/ops.
// clang-format off
CUDA_KERNEL(add) CUDA_KERNEL(sub) CUDA_KERNEL(mul) CUDA_KERNEL(div) CUDA_KERNEL(bias_add) CUDA_KERNEL(scale)
CUDA_KERNEL(conv2d) CUDA_KERNEL(conv2d_grad_input) CUDA_KERNEL(conv2d_grad_weight)
CPU_KERNEL(conv2d) CPU_KERNEL(conv2d_grad_input) CPU_KERNEL(conv2d_grad_weight) CPU_KERNEL(conv_transpose2d)
CUDA_KERNEL(conv_transpose2d)
CUDA_KERNEL(pad) CUDA_KERNEL(crop)
CUDA_KERNEL(concat)
CUDA_KERNEL(cast) CUDA_KERNEL(assign)
CUDA_KERNEL(max_pool2d) CUDA_KERNEL(max_pool2d_grad) CUDA_KERNEL(avg_pool2d) CUDA_KERNEL(avg_pool2d_grad)
CUDA_KERNEL(adaptive_avg_pool2d) CUDA_KERNEL(adaptive_avg_pool2d_grad)
CUDA_KERNEL(upsample_nearest) CUDA_KERNEL(upsample_nearest_grad)
CUDA_KERNEL(upsample_bilinear) CUDA_KERNEL(upsample_bilinear_grad)
CUDA_KERNEL(matmul) CPU_KERNEL(matmul)
CPU_KERNEL(add) CPU_KERNEL(sub) CPU_KERNEL(mul) CPU_KERNEL(bias_add) CPU_KERNEL(scale)
CPU_KERNEL(max_pool2d) CPU_KERNEL(max_pool2d_grad)
CPU_KERNEL(sum) CPU_KERNEL(mean)
CPU_KERNEL(dropout)
CPU_KERNEL(batch_norm_train) CPU_KERNEL(batch_norm_eval) CPU_KERNEL(batch_norm_grad)
CPU_KERNEL(relu) CPU_KERNEL(relu_grad) CPU_KERNEL(leaky_relu) CPU_KERNEL(leaky_relu_grad) CPU_KERNEL(sigmoid) CPU_KERNEL(sigmoid_grad) CPU_KERNEL(tanh_grad)
CPU_KERNEL(sampled_cross_entropy) CPU_KERNEL(sampled_cross_entropy_grad)
CPU_KERNEL(batch_norm_relu) CPU_KERNEL(conv2d_epilogue) CPU_KERNEL(winograd_filters)
CPU_KERNEL(sgd_update) CPU_KERNEL(adam_update) CPU_KERNEL(accumulate)
CUDA_KERNEL(sum) CUDA_KERNEL(mean) CUDA_KERNEL(broadcast_to)
CUDA_KERNEL(rank_mean)
CUDA_KERNEL(reshape)
CUDA_KERNEL(relu) CUDA_KERNEL(leaky_relu) CUDA_KERNEL(sigmoid) CUDA_KERNEL(tanh) CUDA_KERNEL(exp)
CUDA_KERNEL(log) CUDA_KERNEL(softplus) CUDA_KERNEL(square) CUDA_KERNEL(sqrt)
CUDA_KERNEL(relu_grad) CUDA_KERNEL(leaky_relu_grad) CUDA_KERNEL(sigmoid_grad) CUDA_KERNEL(tanh_grad) CUDA_KERNEL(exp_grad)
CUDA_KERNEL(log_grad) CUDA_KERNEL(softplus_grad) CUDA_KERNEL(square_grad) CUDA_KERNEL(sqrt_grad)
CUDA_KERNEL(softmax) CUDA_KERNEL(log_softmax) CUDA_KERNEL(softmax_grad) CUDA_KERNEL(log_softmax_grad)
CUDA_KERNEL(batch_norm_train) CUDA_KERNEL(batch_norm_grad) CUDA_KERNEL(batch_norm_eval) CUDA_KERNEL(batch_norm_eval_grad)
CUDA_KERNEL(update_running_stats)
CUDA_KERNEL(instance_norm) CUDA_KERNEL(instance_norm_grad)
CUDA_KERNEL(dropout)
CUDA_KERNEL(cross_entropy) CUDA_KERNEL(cross_entropy_grad)
CUDA_KERNEL(bce_with_logits) CUDA_KERNEL(bce_with_logits_grad)
CUDA_KERNEL(l1_loss) CUDA_KERNEL(l1_loss_grad) CUDA_KERNEL(mse_loss) CUDA_KERNEL(mse_loss_grad)
CUDA_KERNEL(soft_dice_loss) CUDA_KERNEL(soft_dice_loss_grad)
CUDA_KERNEL(normalized_mutual_information) CUDA_KERNEL(normalized_mutual_information_grad)
CUDA_KERNEL(gaussian_nll) CUDA_KERNEL(gaussian_nll_grad)
CUDA_KERNEL(sampled_cross_entropy) CUDA_KERNEL(sampled_cross_entropy_grad)
CUDA_KERNEL(sgd_update) CUDA_KERNEL(adam_update) CUDA_KERNEL(accumulate)
// clang-format on
}  // namespace querent
