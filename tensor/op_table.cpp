// Every operation this engine can perform: one line per file of tensor/ops.
#include "tensor/op.h"

namespace querent {

// clang-format off
extern const Op add_op, sub_op, mul_op, div_op, bias_add_op, scale_op;
extern const Op conv2d_op, conv2d_grad_input_op, conv2d_grad_weight_op;
extern const Op conv2d_epilogue_op, winograd_filters_op;
extern const Op conv_transpose2d_op;
extern const Op pad_op, crop_op;
extern const Op concat_op;
extern const Op cast_op, assign_op;
extern const Op max_pool2d_op, max_pool2d_grad_op, avg_pool2d_op, avg_pool2d_grad_op;
extern const Op adaptive_avg_pool2d_op, adaptive_avg_pool2d_grad_op;
extern const Op upsample_nearest_op, upsample_nearest_grad_op;
extern const Op upsample_bilinear_op, upsample_bilinear_grad_op;
extern const Op matmul_op;
extern const Op sum_op, mean_op, broadcast_to_op;
extern const Op rank_mean_op, begin_rank_mean_op, end_rank_mean_op;
extern const Op reshape_op;
extern const Op relu_op, leaky_relu_op, sigmoid_op, tanh_op, exp_op, log_op, softplus_op, square_op, sqrt_op;
extern const Op relu_grad_op, leaky_relu_grad_op, sigmoid_grad_op, tanh_grad_op, exp_grad_op, log_grad_op,
    softplus_grad_op, square_grad_op, sqrt_grad_op;
extern const Op softmax_op, log_softmax_op, softmax_grad_op, log_softmax_grad_op;
extern const Op batch_norm_relu_op;
extern const Op add_relu_op, add_relu_grad_op;
extern const Op batch_norm_train_op, batch_norm_grad_op, batch_norm_eval_op, batch_norm_eval_grad_op;
extern const Op update_running_stats_op;
extern const Op instance_norm_op, instance_norm_grad_op;
extern const Op dropout_op;
extern const Op cross_entropy_op, cross_entropy_grad_op;
extern const Op bce_with_logits_op, bce_with_logits_grad_op, l1_loss_op, l1_loss_grad_op, mse_loss_op, mse_loss_grad_op;
extern const Op soft_dice_loss_op, soft_dice_loss_grad_op;
extern const Op normalized_mutual_information_op, normalized_mutual_information_grad_op;
extern const Op gaussian_nll_op, gaussian_nll_grad_op;
extern const Op sampled_cross_entropy_op, sampled_cross_entropy_grad_op;
extern const Op sgd_update_op, adam_update_op, accumulate_op;
extern const Op matmul_update_op;

static const Op* const all_ops[] = {
    &add_op, &sub_op, &mul_op, &div_op, &bias_add_op, &scale_op,
    &conv2d_op, &conv2d_grad_input_op, &conv2d_grad_weight_op,
    &conv2d_epilogue_op, &winograd_filters_op,
    &conv_transpose2d_op,
    &pad_op, &crop_op,
    &concat_op,
    &cast_op, &assign_op,
    &max_pool2d_op, &max_pool2d_grad_op, &avg_pool2d_op, &avg_pool2d_grad_op,
    &adaptive_avg_pool2d_op, &adaptive_avg_pool2d_grad_op,
    &upsample_nearest_op, &upsample_nearest_grad_op,
    &upsample_bilinear_op, &upsample_bilinear_grad_op,
    &matmul_op,
    &sum_op, &mean_op, &broadcast_to_op,
    &rank_mean_op, &begin_rank_mean_op, &end_rank_mean_op,
    &reshape_op,
    &relu_op, &leaky_relu_op, &sigmoid_op, &tanh_op, &exp_op, &log_op, &softplus_op, &square_op, &sqrt_op,
    &relu_grad_op, &leaky_relu_grad_op, &sigmoid_grad_op, &tanh_grad_op, &exp_grad_op, &log_grad_op, &softplus_grad_op,
    &square_grad_op, &sqrt_grad_op,
    &softmax_op, &log_softmax_op, &softmax_grad_op, &log_softmax_grad_op,
    &batch_norm_relu_op,
    &add_relu_op, &add_relu_grad_op,
    &batch_norm_train_op, &batch_norm_grad_op, &batch_norm_eval_op, &batch_norm_eval_grad_op,
    &update_running_stats_op,
    &instance_norm_op, &instance_norm_grad_op,
    &dropout_op,
    &cross_entropy_op, &cross_entropy_grad_op,
    &bce_with_logits_op, &bce_with_logits_grad_op, &l1_loss_op, &l1_loss_grad_op, &mse_loss_op, &mse_loss_grad_op,
    &soft_dice_loss_op, &soft_dice_loss_grad_op,
    &normalized_mutual_information_op, &normalized_mutual_information_grad_op,
    &gaussian_nll_op, &gaussian_nll_grad_op,
    &sampled_cross_entropy_op, &sampled_cross_entropy_grad_op,
    &sgd_update_op, &adam_update_op, &accumulate_op,
    &matmul_update_op,
};
// clang-format on

std::span<const Op* const> op_table() { return all_ops; }

}  // namespace querent
