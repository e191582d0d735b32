// Pooling of a whole feature map, [N,H,W,C] -> [N,C]; the average is the op global_avg_pool.
#pragma once
#include "tensor/ops.h"
#include "tensor/tape.h"

namespace querent {

// Columns first, then the row that is left: a window of max_pool2d has at most 255 pixels.
inline Tensor global_max_pool(const Tensor& x) {
  const Pair column{x.dim(1), 1}, row{1, x.dim(2)};
  const Tensor y = max_pool2d(x, {.kernel = column, .stride = column});
  return reshape(max_pool2d(y, {.kernel = row, .stride = row}), {x.dim(0), x.dim(3)});
}

// Log-sum-exp, (1/r) log mean exp(r x): from the average (r -> 0) to the maximum (r -> infinity). The largest value is
// subtracted before exp, so that nothing overflows; as it cancels out, no gradient needs to flow through it.
inline Tensor log_sum_exp_pool(const Tensor& x, double r) {
  check(r > 0, "log-sum-exp pooling: r must be positive, got {}", r);
  const auto largest = [&] {
    const NoTape constant;
    return global_max_pool(x);
  };
  const Tensor top = largest();
  const Tensor shifted = sub(x, reshape(top, {x.dim(0), 1, 1, x.dim(3)}));
  return add(top, scale(log(mean(exp(scale(shifted, r)), {1, 2})), 1 / r));
}

}  // namespace querent
