// The four shapes that nearly all kernels have. Each takes device lambdas, so that a kernel file holds its formula:
//   elementwise   arrays of n numbers, 16 bytes of each a thread
//   for_each      one thread for each of n indices
//   reduce        sums over the rows of [groups, rows, channels], in two stages and a fixed order: the same bits on
//                 every run and on every GPU; no atomics
//   channelwise   elementwise on [groups, rows, channels] with numbers that belong to a channel
#pragma once
#include <algorithm>
#include <cstdint>
#include <tuple>
#include <type_traits>

#include "cuda/runtime.h"

namespace querent::cuda {

constexpr unsigned block_threads = 256;

inline unsigned blocks_for(std::string_view op, int64_t threads) {
  const int64_t blocks = (threads + block_threads - 1) / block_threads;
  check(blocks < int64_t{1} << 31, "{}: {} elements are more than one launch can take; use a smaller batch", op,
        threads);
  return static_cast<unsigned>(blocks);
}

__device__ inline int64_t thread_index() {
  return int64_t{blockIdx.x} * static_cast<int64_t>(blockDim.x) + static_cast<int64_t>(threadIdx.x);
}

// i / n and i % n for i >= 0, n > 0: a 64-bit division takes five times as long as a 32-bit one.
struct Split {
  int64_t quotient, rest;
};
__host__ __device__ inline Split split(int64_t i, int64_t n) {
  if (((i | n) >> 32) == 0) {
    const auto a = static_cast<uint32_t>(i), b = static_cast<uint32_t>(n), q = a / b;
    return {q, a - q * b};
  }
  return {i / n, i % n};
}

// ---- numbers that lie in f32 or bf16 and are computed in f32. Which of the two is asked at each element: the same for
// all threads, and cheap beside the memory.

struct Values {  // read
  const void* at = nullptr;
  bool half = false;  // bf16
  __host__ __device__ explicit operator bool() const { return at != nullptr; }
  __device__ float operator[](int64_t i) const {
    return half ? static_cast<float>(static_cast<const bf16*>(at)[i]) : static_cast<const float*>(at)[i];
  }
};
struct Results {  // written without being read
  void* at;
  bool half;
  __device__ void set(int64_t i, float value) const {
    if (half)
      static_cast<bf16*>(at)[i] = bf16(value);
    else
      static_cast<float*>(at)[i] = value;
  }
  __device__ float rounded(float value) const { return half ? static_cast<float>(bf16(value)) : value; }
};
// Whether `t` is bf16; an internal Error unless it is that or f32.
inline bool is_half(const Tensor& t) {
  if (t.dtype() != DType::bf16) static_cast<void>(t.data<float>());
  return t.dtype() == DType::bf16;
}
inline Values values(const Call& c, size_t i) { return c.in[i] ? Values{c.in[i].raw(), is_half(c.in[i])} : Values{}; }
inline Results results(const Call& c, size_t i = 0) { return {c.out[i].raw(), is_half(c.out[i])}; }

// ---- for_each

// One thread for each index; the traffic is what f reads and writes.
template <class F>
__global__ void each_index(F f, int64_t n) {
  const int64_t i = thread_index();
  if (i < n) f(i);
}
template <class F>
void for_each(std::string_view op, const Call& c, int64_t n, F f) {
  launch(op, c, each_index<F>, blocks_for(op, n), block_threads, f, n);
}

// ---- elementwise

template <class T, int N>
struct alignas(std::min<size_t>(N * sizeof(T), 16)) Pack {
  T v[N];
};
// What a kernel takes as an array of T: const T* is read, T* read and written, and
template <class T>
struct Out {  // written without being read
  T* at;
};
template <class T>
struct Maybe {  // read; zeros where it is null
  const T* at;
};
template <class Array>
struct ElementOf;
template <class T>
struct ElementOf<T*> {
  using type = std::remove_const_t<T>;
};
template <template <class> class Of, class T>
struct ElementOf<Of<T>> {
  using type = T;
};
// As many elements as 16 bytes hold of the smallest type.
template <class... Array>
constexpr int pack_size = 16 / std::min({sizeof(float), sizeof(typename ElementOf<Array>::type)...});

// N neighbouring elements of an array, as floats.
template <int N, class T>
__device__ Pack<float, N> load(const T* array, int64_t i) {
  const auto stored = *reinterpret_cast<const Pack<T, N>*>(array + i);
  Pack<float, N> p;
  for (int k = 0; k < N; ++k) p.v[k] = static_cast<float>(stored.v[k]);
  return p;
}
template <int N, class T>
__device__ Pack<float, N> load(Out<T>, int64_t) {
  return {};
}
template <int N, class T>
__device__ Pack<float, N> load(Maybe<T> array, int64_t i) {
  return array.at ? load<N>(array.at, i) : Pack<float, N>{};
}
template <int N, class T>
__device__ void store(const T*, int64_t, const Pack<float, N>&) {}
template <int N, class T>
__device__ void store(Maybe<T>, int64_t, const Pack<float, N>&) {}
template <int N, class T>
__device__ void store(T* array, int64_t i, const Pack<float, N>& p) {
  Pack<T, N> stored;
  for (int k = 0; k < N; ++k) stored.v[k] = T(p.v[k]);
  *reinterpret_cast<Pack<T, N>*>(array + i) = stored;
}
template <int N, class T>
__device__ void store(Out<T> out, int64_t i, const Pack<float, N>& p) {
  store<N>(out.at, i, p);
}
template <int N, class F, class... Array>
__device__ void do_pack(F f, int64_t first, Array... array) {
  [&](auto... pack) {
    for (int k = 0; k < N; ++k) f(first + k, pack.v[k]...);
    (store<N>(array, first, pack), ...);
  }(load<N>(array, first)...);
}

// Each thread does N neighbouring elements, as one pack where they are whole and aligned. Every array is read once
// (Out: not at all) and written once (const: not at all).
template <int N, class F, class... Array>
__global__ void each_pack(F f, int64_t n, bool aligned, Array... array) {
  const int64_t first = N * thread_index();
  if (aligned && first + N <= n) {
    do_pack<N>(f, first, array...);
  } else {
    for (int64_t i = first; i < first + N && i < n; ++i) do_pack<1>(f, i, array...);
  }
}
template <int N, class T>
bool is_aligned(const T* p) {
  return reinterpret_cast<uintptr_t>(p) % alignof(Pack<T, N>) == 0;
}
template <int N, template <class> class Of, class T>
bool is_aligned(Of<T> array) {
  return is_aligned<N>(array.at);
}
template <class F, class... Array>
void launch_packs(std::string_view op, const Call& c, int64_t n, F f, Array... array) {
  constexpr int N = pack_size<Array...>;
  launch(op, c, each_pack<N, F, Array...>, blocks_for(op, (n + N - 1) / N), block_threads, f, n,
         (is_aligned<N>(array) && ...), array...);
}

// An array as an array of T.
template <class T>
const T* array_of(Values v) {
  return static_cast<const T*>(v.at);
}
struct MaybeValues {
  Values values;
};
template <class T>
Maybe<T> array_of(MaybeValues v) {
  return {array_of<T>(v.values)};
}
template <class T>
Out<T> array_of(Results r) {
  return {static_cast<T*>(r.at)};
}
// f(i, a[i], b[i], ...) for i < n, with references to the elements of float* and Out<float> arrays.
template <class F, class... Array>
void elementwise(std::string_view op, const Call& c, int64_t n, F f, Array... array) {
  launch_packs(op, c, n, f, array...);
}
// The same for results and values, which are all f32 or all bf16.
template <class F, class... Array>
void elementwise(std::string_view op, const Call& c, int64_t n, F f, Results y, Array... x) {
  if (y.half)
    launch_packs(op, c, n, f, array_of<bf16>(y), array_of<bf16>(x)...);
  else
    launch_packs(op, c, n, f, array_of<float>(y), array_of<float>(x)...);
}
// For what is f32 only: losses, optimizers.
inline Out<float> result(const Call& c, size_t i = 0) { return {c.out[i].data<float>()}; }
inline const float* input(const Call& c, size_t i) { return c.in[i] ? c.in[i].data<float>() : nullptr; }

// ---- reduce

// N neighbouring elements that may lie anywhere.
template <int N, class Array>
__device__ Pack<float, N> load(bool aligned, Array array, int64_t i) {
  if (aligned) return load<N>(array, i);
  Pack<float, N> p;
  for (int k = 0; k < N; ++k) p.v[k] = load<1>(array, i + k).v[0];
  return p;
}
template <int N, class Array>
__device__ void store(bool aligned, Array array, int64_t i, const Pack<float, N>& p) {
  if (aligned) return store<N>(array, i, p);
  for (int k = 0; k < N; ++k) store<1>(array, i + k, Pack<float, 1>{{p.v[k]}});
}

template <int K>
struct Sums {
  double v[K];
};

// How [groups, rows, channels] is cut: a thread has `pack` neighbouring channels, a block `width` packs (a power of two
// up to 32, so that a warp reads neighbours) and block_threads / width rows at a time, and does a piece of the rows.
struct Columns {
  int64_t groups, rows, channels, pack = 1;
  __host__ __device__ int64_t count() const { return groups * channels; }
  int64_t width() const {
    int64_t w = 1;
    while (w * pack < channels && w < 32) w *= 2;
    return w;
  }
  int64_t tiles() const { return (channels + width() * pack - 1) / (width() * pack); }
  int64_t pieces() const {  // at least 8 rows for each thread, about a thousand blocks in all
    const int64_t most = std::max<int64_t>(1, 1024 / std::max<int64_t>(1, groups * tiles()));
    return std::clamp<int64_t>(rows * width() / (8 * block_threads), 1, most);
  }
};

// Stage one, a block for each group, tile of channels and piece of rows: x the channels, y the row in turn. Reads the
// arrays and what else f reads, once; writes K doubles for each column and piece. N divides the channels.
template <int K, int N, class F, class... Array>
__global__ void sum_pieces(F f, Columns s, int64_t tiles, int64_t rows_each, Sums<K>* partial,
                           [[maybe_unused]] bool aligned, Array... array) {
  __shared__ double part[K * N][block_threads];
  const auto [group, tile] = split(blockIdx.x, tiles);
  const int64_t channel = N * (tile * blockDim.x + threadIdx.x), column = group * s.channels + channel;
  const int64_t begin = blockIdx.y * rows_each, end = begin + rows_each < s.rows ? begin + rows_each : s.rows;
  Sums<K> sum[N] = {};
  if (channel < s.channels) {
    for (int64_t row = begin + threadIdx.y; row < end; row += blockDim.y) {
      const int64_t first = (group * s.rows + row) * s.channels + channel;
      [&](auto... pack) {
        for (int k = 0; k < N; ++k) f(first + k, column + k, row, sum[k].v, pack.v[k]...);
      }(load<N>(aligned, array, first)...);
    }
  }
  const unsigned t = threadIdx.y * blockDim.x + threadIdx.x;
  for (int k = 0; k < K * N; ++k) part[k][t] = sum[k / K].v[k % K];
  for (unsigned half = blockDim.y / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.y < half) {
      for (int k = 0; k < K * N; ++k) part[k][t] += part[k][t + half * blockDim.x];
    }
  }
  if (threadIdx.y > 0 || channel >= s.channels) return;
  for (int k = 0; k < K * N; ++k) partial[blockIdx.y * s.count() + column + k / K].v[k % K] = part[k][t];
}
// Stage two, a warp for each column.
template <int K, class F>
__global__ void sum_partial(F finish, int64_t columns, int64_t pieces, const Sums<K>* partial) {
  const int64_t column = thread_index() / 32, lane = threadIdx.x % 32;
  Sums<K> sum{};
  if (column < columns) {
    for (int64_t p = lane; p < pieces; p += 32) {
      for (int k = 0; k < K; ++k) sum.v[k] += partial[p * columns + column].v[k];
    }
  }
  for (int k = 0; k < K; ++k) {
    for (unsigned half = 16; half > 0; half /= 2) sum.v[k] += __shfl_down_sync(0xffffffffu, sum.v[k], half);
  }
  if (column < columns && lane == 0) finish(column, sum.v);
}

// Device memory of n elements for the duration of a call; later kernels of the stream may reuse it.
inline Tensor scratch(const Call& c, int64_t n, DType dtype) { return Tensor::empty({n}, dtype, device_of(c)); }

template <int K, int N, class F, class G, class... Array>
void reduce_packs(std::string_view op, const Call& c, Columns s, F f, G finish, Array... array) {
  if (s.count() == 0) return;
  s.pack = N;
  const int64_t width = s.width(), pieces = s.pieces(), rows_each = (s.rows + pieces - 1) / pieces;
  const Tensor partial = scratch(c, pieces * s.count() * K, DType::f64);
  auto* const sums = reinterpret_cast<Sums<K>*>(partial.data<double>());
  const dim3 grid(blocks_for(op, s.groups * s.tiles() * block_threads), static_cast<unsigned>(pieces));
  const dim3 block(static_cast<unsigned>(width), block_threads / static_cast<unsigned>(width));
  launch(op, c, sum_pieces<K, N, F, Array...>, grid, block, f, s, s.tiles(), rows_each, sums,
         (is_aligned<N>(array) && ...), array...);
  launch(op, c, sum_partial<K, G>, blocks_for(op, s.count() * 32), block_threads, finish, s.count(), pieces, sums);
}
// f(i, column, row, sums) adds what element i contributes to its column's K sums; finish(column, sums) takes them.
// column = group * channels + channel.
template <int K, class F, class G>
void reduce(std::string_view op, const Call& c, Columns s, F f, G finish) {
  reduce_packs<K, 1>(op, c, s, f, finish);
}
// The same with arrays, which are all f32 or all bf16: f(i, column, row, sums, a[i], b[i], ...). The order of the sums
// depends on type and channels, not on where the arrays lie.
template <int K, class T, class F, class G, class... Array>
void reduce_as(std::string_view op, const Call& c, Columns s, F f, G finish, Array... array) {
  constexpr int N = pack_size<const T*>;
  if (s.channels % N == 0)
    reduce_packs<K, N>(op, c, s, f, finish, array...);
  else
    reduce_packs<K, 1>(op, c, s, f, finish, array...);
}
template <int K, class F, class G, class... Array>
void reduce(std::string_view op, const Call& c, Columns s, F f, G finish, Values x, Array... more) {
  if (x.half)
    reduce_as<K, bf16>(op, c, s, f, finish, array_of<bf16>(x), array_of<bf16>(more)...);
  else
    reduce_as<K, float>(op, c, s, f, finish, array_of<float>(x), array_of<float>(more)...);
}
// One column: all n elements.
template <int K, class F, class G>
void reduce_all(std::string_view op, const Call& c, int64_t n, F f, G finish) {
  reduce<K>(op, c, {1, n, 1}, f, finish);
}

// ---- channelwise

// A thread keeps to N neighbouring channels of a group, `stride` packs apart, which is a whole number of rows: what
// belongs to a channel is made once and no index is divided. Every array is read once and written once, as above.
template <class State, int N, class P, class F, class... Array>
__global__ void each_channel(P prepare, F f, Columns s, int64_t blocks, int64_t stride, bool aligned, Array... array) {
  const Split of = split(blockIdx.x, blocks);  // group, block of the group: in x, as y ends at 65535
  const int64_t t = of.rest * blockDim.x + threadIdx.x, size = s.rows * s.channels;
  const int64_t begin = of.quotient * size, end = begin + size;
  if (t >= stride) return;
  const int64_t channel = N * split(t, s.channels / N).rest;
  State state[N];
  for (int k = 0; k < N; ++k) prepare(of.quotient * s.channels + channel + k, state[k]);
  for (int64_t i = begin + N * t; i < end; i += N * stride) {
    [&](auto... pack) {
      for (int k = 0; k < N; ++k) f(state[k], i + k, pack.v[k]...);
      (store<N>(aligned, array, i, pack), ...);
    }(load<N>(aligned, array, i)...);
  }
}
template <class State, int N, class P, class F, class... Array>
void launch_channels(std::string_view op, const Call& c, Columns s, P prepare, F f, Array... array) {
  const int64_t packs = s.rows * (s.channels / N);
  // Up to 16 packs a thread, as long as there are threads enough for the largest GPUs.
  const int64_t each = std::clamp<int64_t>(s.groups * packs >> 18, 1, 16);
  const int64_t stride = (s.rows + each - 1) / each * (s.channels / N);
  const int64_t blocks = blocks_for(op, stride);
  launch(op, c, each_channel<State, N, P, F, Array...>, blocks_for(op, s.groups * blocks * block_threads),
         block_threads, prepare, f, s, blocks, stride, (is_aligned<N>(array) && ...), array...);
}
template <class State, class T, class P, class F, class... Array>
void channelwise_as(std::string_view op, const Call& c, Columns s, P prepare, F f, Array... array) {
  constexpr int N = pack_size<const T*>;
  if (s.channels % N == 0)
    launch_channels<State, N>(op, c, s, prepare, f, array...);
  else
    launch_channels<State, 1>(op, c, s, prepare, f, array...);
}
// f(state of the column, i, y[i], a[i], ...) with what prepare(column, state) put there; results and values are all f32
// or all bf16.
template <class State, class P, class F, class... Array>
void channelwise(std::string_view op, const Call& c, Columns s, P prepare, F f, Results y, Array... x) {
  if (y.half)
    channelwise_as<State, bf16>(op, c, s, prepare, f, array_of<bf16>(y), array_of<bf16>(x)...);
  else
    channelwise_as<State, float>(op, c, s, prepare, f, array_of<float>(y), array_of<float>(x)...);
}

}  // namespace querent::cuda
