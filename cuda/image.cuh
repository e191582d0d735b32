// Elements of images [N,H,W,C] and their places.
#pragma once
#include "cuda/kernel.cuh"

namespace querent::cuda {

struct Pixel {
  int64_t n, h, w, c;
};
struct Image {  // [N,H,W,C]
  int64_t h, w, c;
  explicit Image(const Shape& s) : h(s[1]), w(s[2]), c(s[3]) {}
  __host__ __device__ Pixel pixel(int64_t i) const {
    const Split channel = split(i, c), column = split(channel.quotient, w), row = split(column.quotient, h);
    return {row.quotient, row.rest, column.rest, channel.rest};
  }
  __host__ __device__ int64_t index(int64_t n, int64_t y, int64_t x, int64_t k) const {
    return ((n * h + y) * w + x) * c + k;
  }
};

// y[i] = f(i): one thread for each element of the first result. Neighbouring threads are neighbouring channels.
template <class F>
void for_each_result(std::string_view op, const Call& c, F f) {
  const Results y = results(c);
  for_each(op, c, c.out[0].numel(), [=] __device__(int64_t i) { y.set(i, f(i)); });
}

}  // namespace querent::cuda
