// Sums over leading axes, [rows, C] -> [C], and over everything: fixed blocks of rows, f64 inside, blocks added in
// order. Other patterns of axes run the reference.
#include <algorithm>
#include <vector>

#include "tensor/kernels.h"
#include "tensor/op_attrs.h"

namespace querent {
extern const Op sum_op, mean_op;
}

namespace querent::cpu {
namespace {

// Channels that survive when the axes are the leading ones; 0 for any other pattern.
int64_t kept_channels(const Tensor& x, const Shape& axes) {
  if (axes.rank() == 0) return 1;
  for (int i = 0; i < axes.rank(); ++i) {
    if (axes[i] != i) return 0;
  }
  int64_t channels = 1;
  for (int i = axes.rank(); i < x.rank(); ++i) channels *= x.dim(i);
  return channels;
}

void reduce(const Call& c, Kernel* reference, bool mean) {
  const Tensor& x = c.in[0];
  const int64_t C = kept_channels(x, c.attrs.as<ReduceAttrs>().axes);
  if (C == 0 || x.numel() == 0) return reference(c);
  const int64_t rows = x.numel() / C, blocks = std::min<int64_t>(64, (rows + 63) / 64);
  const float* from = x.data<float>();
  std::vector<double> partial(static_cast<size_t>(blocks * C), 0.0);
#pragma omp parallel for schedule(static) if (x.numel() > 16384)
  for (int64_t b = 0; b < blocks; ++b) {
    double* sum = partial.data() + b * C;
    for (int64_t r = rows * b / blocks; r < rows * (b + 1) / blocks; ++r) {
      for (int64_t k = 0; k < C; ++k) sum[k] += static_cast<double>(from[r * C + k]);
    }
  }
  const double factor = mean ? 1.0 / static_cast<double>(rows) : 1.0;
  for (int64_t k = 0; k < C; ++k) {
    double total = 0;
    for (int64_t b = 0; b < blocks; ++b) total += partial[static_cast<size_t>(b * C + k)];
    c.out[0].data<float>()[k] = static_cast<float>(total * factor);
  }
}

}  // namespace

void sum(const Call& c) { reduce(c, sum_op.kernel.ref, false); }
void mean(const Call& c) { reduce(c, mean_op.kernel.ref, true); }

}  // namespace querent::cpu
