// Every operation this engine can perform: one line per file of tensor/ops.
#include "tensor/op.h"

namespace querent {

// clang-format off
extern const Op add_op, sub_op, mul_op, div_op, bias_add_op, scale_op;
extern const Op conv2d_op, conv2d_grad_input_op, conv2d_grad_weight_op;
extern const Op matmul_op;
extern const Op sum_op, mean_op, broadcast_to_op;
extern const Op reshape_op;

static const Op* const all_ops[] = {
    &add_op, &sub_op, &mul_op, &div_op, &bias_add_op, &scale_op,
    &conv2d_op, &conv2d_grad_input_op, &conv2d_grad_weight_op,
    &matmul_op,
    &sum_op, &mean_op, &broadcast_to_op,
    &reshape_op,
};
// clang-format on

std::span<const Op* const> op_table() { return all_ops; }

}  // namespace querent
