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

// f.at<N>(pixel, i, array...) for each N neighbouring channels of the first result [N,H,W,C], which begin at element i:
// one thread for what 16 bytes of T hold, where channels and places allow it (`aligned` says that of N elements), else
// for one. So few indices are divided, and f may load<N> and store<N>.
template <int N, class F, class... Array>
__global__ void each_pixel(F f, Image of, int64_t packs, Array... array) {
  const int64_t t = thread_index();
  if (t < packs) f.template at<N>(of.pixel(N * t), N * t, array...);
}
template <class T, class F, class... Array>
void for_each_pixel(std::string_view op, const Call& c, F f, Array*... array) {
  constexpr int N = pack_size<T*>;
  const Image of(c.out[0].shape());
  const int64_t n = c.out[0].numel();
  if (of.c % N == 0 && (is_aligned<N>(array) && ...))
    launch(op, c, each_pixel<N, F, Array*...>, blocks_for(op, n / N), block_threads, f, of, n / N, array...);
  else
    launch(op, c, each_pixel<1, F, Array*...>, blocks_for(op, n), block_threads, f, of, n, array...);
}

// The same from one image to another: f.at<N>(pixel, i, x, y).
template <class T, class F>
void image_to_image_as(std::string_view op, const Call& c, F f) {
  const T* x = c.in[0].data<T>();
  for_each_pixel<T>(op, c, f, x, c.out[0].data<T>());
}
template <class F>
void image_to_image(std::string_view op, const Call& c, F f) {
  is_half(c.in[0]) ? image_to_image_as<bf16>(op, c, f) : image_to_image_as<float>(op, c, f);
}

}  // namespace querent::cuda
