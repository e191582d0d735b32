// concat: everything before the axis is a row, and each input gives the row one run of bytes.
#include "cuda/kernel.cuh"
#include "tensor/kernels.h"
#include "tensor/op_attrs.h"

namespace querent::cuda {

// One thread for each unit of T, 16 bytes where runs and places allow it: reads x, writes its part of y.
template <class T>
void copy_runs(const Call& c, const Tensor& x, int64_t rows, std::byte* to, int64_t y_row) {
  const auto* from = static_cast<const T*>(x.raw());
  const int64_t run = static_cast<int64_t>(x.bytes() / sizeof(T)) / rows;
  auto* into = reinterpret_cast<T*>(to);
  const int64_t stride = y_row / static_cast<int64_t>(sizeof(T));
  for_each("concat", c, run * rows, [=] __device__(int64_t i) {
    const Split s = split(i, run);
    into[s.quotient * stride + s.rest] = from[i];
  });
}

void concat(const Call& c) {
  const Tensor& y = c.out[0];
  const int64_t a = c.attrs.as<AxisAttrs>().axis, axis = a < 0 ? a + y.rank() : a;
  int64_t rows = 1;
  for (int i = 0; i < axis; ++i) rows *= y.dim(i);
  if (y.numel() == 0) return;
  const int64_t y_row = static_cast<int64_t>(y.bytes()) / rows;
  auto* to = static_cast<std::byte*>(y.raw());
  for (const Tensor& x : c.in) {
    const int64_t run = static_cast<int64_t>(x.bytes()) / rows;
    if (run == 0) continue;
    const uint64_t bits = reinterpret_cast<uintptr_t>(to) | reinterpret_cast<uintptr_t>(x.raw()) |
                          static_cast<uint64_t>(run) | static_cast<uint64_t>(y_row);
    if (bits % 16 == 0)
      copy_runs<Pack<float, 4>>(c, x, rows, to, y_row);
    else if (bits % 4 == 0)
      copy_runs<float>(c, x, rows, to, y_row);
    else if (bits % 2 == 0)
      copy_runs<uint16_t>(c, x, rows, to, y_row);
    else
      copy_runs<std::byte>(c, x, rows, to, y_row);
    to += run;
  }
}

}  // namespace querent::cuda
