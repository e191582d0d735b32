// The gradient of a linear layer's weights, a few rows at a time, each followed by the update of these rows.
#include <algorithm>

#include "tensor/cpu/matmul_job.h"
#include "tensor/kernels.h"
#include "tensor/program_attrs.h"

namespace querent::cpu {

void matmul_update(const Call& c) {
  const auto& at = c.attrs.as<MatmulUpdateAttrs>();
  const Tensor &p = c.in[0], &a = c.in[1], &b = c.in[2], &hyper = c.in[5];
  const int64_t m = p.dim(0), n = p.dim(1), k = a.dim(at.product.transpose_a ? 0 : 1);
  const int64_t a_row = at.product.transpose_a ? 1 : k, a_col = at.product.transpose_a ? m : 1;
  constexpr int64_t most = 1 << 19;  // elements of the gradient that are there at a time: they stay in the cache
  const int64_t at_once = std::clamp<int64_t>(most / std::max<int64_t>(n, 1), 1, std::max<int64_t>(m, 1));
  const Tensor memory = Tensor::empty({at_once, n});
  for (int64_t first = 0; first < m; first += at_once) {
    const int64_t rows = std::min(at_once, m - first);
    const Tensor g = memory.batch(0, rows);
    run_matmul({a.data<float>() + first * a_row, a_row, a_col, b.data<float>(), at.product.transpose_b,
                g.data<float>(), rows, n, k});
    const Tensor of_p = p.batch(first, rows), of_m = c.in[3].batch(first, rows);
    if (c.in[4])
      adam_update({Tensors{of_p, g, of_m, c.in[4].batch(first, rows), hyper}, {}, AdamAttrs{at.decoupled}});
    else
      sgd_update({Tensors{of_p, g, of_m, hyper}, {}, {}});
  }
}

}  // namespace querent::cpu
