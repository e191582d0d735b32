// Every operation this engine can perform.
#include "tensor/op.h"

namespace querent {

// clang-format off: one line per file of tensor/ops
extern const Op matmul_op;

static const Op* const all_ops[] = {
    &matmul_op,
};
// clang-format on

std::span<const Op* const> op_table() { return all_ops; }

}  // namespace querent
