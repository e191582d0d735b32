// The matrix product. Most are layers whose b, the weights, is far larger than the rest: it is read once and in pieces
// that stay in the cache.
//
// A task is a block of rows of y and a few panels of 32 columns. The depth is cut into pieces; y keeps the sums between
// two of them. Where several tiles of rows share a panel, or b must be turned round, a piece of it is copied to
// [k][32] first; else the product reads b where it is, whole kilobytes at a time.
//
// A fully connected layer with a small batch, and the gradient in its input, do 2 FLOP for each weight and image: they are
// a 1x1 convolution of images of one pixel, whose kernel (conv_deep.cpp) passes over the weights once, at the speed of
// memory. 8 images through 4096 x 25088 weights: 24 ms of one thread instead of 60.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/cpu/matmul.cpp"
#include <algorithm>

#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>
#include "tensor/cpu/conv_job.h"
#include "tensor/cpu/matmul_job.h"
#include "tensor/cpu/product-inl.h"
#include "tensor/cpu/scratch.h"
#include "tensor/kernels.h"
#include "tensor/op_attrs.h"

HWY_BEFORE_NAMESPACE();
namespace querent::cpu::HWY_NAMESPACE {

// Columns n .. n+count of b at depths k .. k+depth to [depth][width], zero beyond the last.
void pack_panel(const MatmulJob& j, int64_t k, int64_t depth, int64_t n, int64_t count, int64_t width, float* to) {
  const D d;
  const hn::RebindToSigned<D> di;
  const float* from = j.b + (j.b_transposed ? n * j.k + k : k * j.n + n);
  const int64_t column = j.b_transposed ? j.k : 1, down = j.b_transposed ? 1 : j.n;
  if (count < width) {
    for (int64_t i = 0; i < depth; ++i, to += width, from += down)
      for (int64_t o = 0; o < width; ++o) to[o] = o < count ? from[o * column] : 0;
    return;
  }
  const auto places = hn::Mul(hn::Iota(di, 0), hn::Set(di, static_cast<int32_t>(column)));
  for (int64_t i = 0; i < depth; ++i, to += width, from += down) {
    for (int64_t o = 0; o < width; o += lanes())
      hn::Store(column == 1 ? hn::LoadU(d, from + o) : hn::GatherIndex(d, from + o * column, places), d, to + o);
  }
}

void RunMatmul(const MatmulJob& j) {
  constexpr int64_t row_block = 224, packed_depth = 256, direct_depth = 32;
  const int64_t width = 2 * lanes();
  const bool packs = j.b_transposed || j.m > largest_rows;
  const int64_t columns = packs ? width : 8 * width, depth = packs ? packed_depth : direct_depth;
  const int64_t rows_at_once = std::min(j.m, row_block);
  const Scratch memory = Scratch::per_thread((packed_depth + rows_at_once) * width);
#pragma omp parallel
  {
    float* const panel = memory.mine();
    float* const last_columns = panel + packed_depth * width;  // of y, where they are fewer than a panel
#pragma omp for schedule(dynamic) collapse(2)
    for (int64_t m = 0; m < j.m; m += row_block) {
      for (int64_t first = 0; first < j.n; first += columns) {
        const int64_t rows = std::min(row_block, j.m - m), end = std::min(first + columns, j.n);
        for (int64_t k = 0; k < j.k; k += depth) {
          const int64_t now = std::min(depth, j.k - k);
          for (int64_t n = first; n < end; n += width) {
            const int64_t count = std::min(width, end - n);
            const bool packed = packs || count < width;
            if (packed) pack_panel(j, k, now, n, count, width, panel);
            product<2>({j.a + m * j.a_row + k * j.a_col, j.a_row, j.a_col, packed ? panel : j.b + k * j.n + n,
                        packed ? width : j.n, count < width ? last_columns : j.y + m * j.n + n,
                        count < width ? width : j.n, now, k > 0},
                       rows);
          }
        }
        const int64_t count = (end - first) % width;
        for (int64_t r = 0; count > 0 && r < rows; ++r)
          std::copy_n(last_columns + r * width, count, j.y + (m + r) * j.n + end - count);
      }
    }
  }
}

}  // namespace querent::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace querent::cpu {
namespace {

// [rows,cols] -> [cols,rows], in squares that stay in the cache.
void transpose(const float* from, int64_t rows, int64_t cols, float* to) {
  constexpr int64_t side = 32;
#pragma omp parallel for schedule(static)
  for (int64_t c0 = 0; c0 < cols; c0 += side)
    for (int64_t r0 = 0; r0 < rows; r0 += side)
      for (int64_t c = c0; c < std::min(c0 + side, cols); ++c)
        for (int64_t r = r0; r < std::min(r0 + side, rows); ++r) to[c * rows + r] = from[r * cols + c];
}

}  // namespace

HWY_EXPORT(RunMatmul);

void run_matmul(const MatmulJob& job) {
  if (job.k == 0) std::fill_n(job.y, job.m * job.n, 0.0f);
  // Columns of a lie a row of it apart: many of them would compete for the same few places of the cache.
  constexpr int64_t few_columns = 64;
  const bool turned = job.a_col != 1 && job.k > few_columns;
  const Scratch memory(turned ? job.m * job.k : 0);
  MatmulJob j = job;
  if (turned) {
    transpose(job.a, job.k, job.m, memory.data());
    j.a = memory.data(), j.a_row = job.k, j.a_col = 1;
  }
  HWY_DYNAMIC_DISPATCH(RunMatmul)(j);
}

// Rows beside which the weights are many, read along the outputs or along the sums.
constexpr int64_t few_read = 256, few_streamed = 64;

namespace {

void multiply(const Call& c) {
  const auto& at = c.attrs.as<MatmulAttrs>();
  const Tensor &a = c.in[0], &b = c.in[1], &y = c.out[0];
  const int64_t m = y.dim(0), n = y.dim(1), k = a.dim(at.transpose_a ? 0 : 1);
  if (!at.transpose_a && k >= 32 && n >= 32 && m > 0 && m <= (at.transpose_b ? few_read : few_streamed)) {
    run_conv_deep({.x = a.data<float>(), .n = m, .h = 1, .w = 1, .x_channels = k, .x_first = 0, .in = k,
                   .stride_h = 1, .stride_w = 1, .y = y.data<float>(), .rows = 1, .cols = 1, .y_h = 1, .y_w = 1,
                   .y_channels = n, .y_first = 0, .out = n, .weights = b.data<float>(),
                   .w_out = at.transpose_b ? k : 1, .w_in = at.transpose_b ? 1 : n, .taps = {{0, 0, 0}}});
    return;
  }
  run_matmul({a.data<float>(), at.transpose_a ? 1 : k, at.transpose_a ? m : 1, b.data<float>(), at.transpose_b,
              y.data<float>(), m, n, k});
}

}  // namespace

void matmul(const Call& c) {
  multiply(c);
  if (!c.in[2]) return;
  const int64_t m = c.out[0].dim(0), n = c.out[0].dim(1);
  const float* const bias = c.in[2].data<float>();
  float* const y = c.out[0].data<float>();
  constexpr int64_t worth_threads = 1 << 16;
#pragma omp parallel for schedule(static) if (m * n > worth_threads)
  for (int64_t row = 0; row < m; ++row)
    for (int64_t column = 0; column < n; ++column) y[row * n + column] += bias[column];
}

}  // namespace querent::cpu
#endif
