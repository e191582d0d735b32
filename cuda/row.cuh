// Rows [R,C] of a few or of many numbers: one thread for a short row, a warp for a long one.
#pragma once
#include "cuda/kernel.cuh"

namespace querent::cuda {

// A row as its thread, or one lane of its warp, sees it. All lanes get the same sums.
struct Row {
  int64_t index, begin, end;  // the row's number; its elements
  int64_t lane, lanes;        // 0 of 1, or 0..31 of 32

  template <class F>
  __device__ void each(F f) const {
    for (int64_t i = begin + lane; i < end; i += lanes) f(i);
  }
  template <class F>
  __device__ float sum(F f) const {
    float total = 0;
    each([&](int64_t i) { total += f(i); });
    for (unsigned bits = 16; lanes > 1 && bits > 0; bits /= 2) total += __shfl_xor_sync(0xffffffffu, total, bits);
    return total;
  }
  template <class F>
  __device__ float max(F f) const {
    float top = -INFINITY;
    each([&](int64_t i) { top = fmaxf(top, f(i)); });
    for (unsigned bits = 16; lanes > 1 && bits > 0; bits /= 2)
      top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, bits));
    return top;
  }
};

template <class F>
__global__ void each_row(F f, int64_t rows, int64_t size, int64_t lanes) {
  const int64_t row = thread_index() / lanes;
  if (row < rows) f(Row{row, row * size, (row + 1) * size, threadIdx.x % lanes, lanes});
}
// f(row) for each row of the last axis of x.
template <class F>
void for_each_row(std::string_view op, const Call& c, const Tensor& x, F f) {
  const int64_t size = x.dim(-1), rows = size ? x.numel() / size : 0, lanes = size > 32 ? 32 : 1;
  launch(op, c, each_row<F>, blocks_for(op, rows * lanes), block_threads, f, rows, size, lanes);
}

}  // namespace querent::cuda
