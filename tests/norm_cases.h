// The batch norms in training that a GPU library may compute: a row of the op table and what the problem is called in a
// file of plans (NormProblem of cuda/cudnn_graph.h).
#pragma once
#include "tensor/op.h"
#include "tensor/op_attrs.h"

namespace querent::test {

struct NormRow {
  const char *op, *problem;
  bool with_last;  // what is added; the y that says where a ReLU let dy through
};
constexpr NormRow norm_rows[] = {{"batch_norm_train", "batch_norm_train", false},
                                 {"batch_norm_relu", "batch_norm_relu", false},
                                 {"batch_norm_relu", "batch_norm_add_relu", true},
                                 {"batch_norm_grad", "batch_norm_grad", false},
                                 {"batch_norm_grad", "batch_norm_relu_grad", true}};
inline Case norm_case(const NormRow& row, const Shape& shape) {
  const Sample x{shape}, of_channels{{shape[-1]}}, var{{shape[-1]}, Sample::uniform, 1.0, 0.5};
  const Sample last = row.with_last ? x : Sample{{}, Sample::none};
  const std::string_view op = row.op;
  if (op == "batch_norm_grad") return {"", {x, of_channels, x, of_channels, var, last}, NormAttrs{.eps = 0.01}};
  Case c{"", {x, of_channels, of_channels}, NormAttrs{.eps = 0.01}};
  if (op == "batch_norm_relu") c.in.push_back(last);
  return c;
}

}  // namespace querent::test
