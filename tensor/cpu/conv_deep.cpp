// Convolutions of few positions with many channels, where the weights are the larger part of what is read: they stream
// through once, as they lie in memory. One output position at the bottom of a U-Net reads 16 MB of them.
//
// Forward the weights of an output lie along the input channels, so products are summed along vectors of channels: up
// to 6 positions x 4 outputs of vector sums stay in registers, and each sum is folded to one number at the very end.
// The adjoint has neighbouring outputs side by side: 64 inputs x 128 outputs of a tap are copied into the caches and
// multiplied with patches of the image. The weight gradient is, for each tap, a product [O, positions] x [positions,
// C] of packed panels, and its results go where they belong at once. A tap that no position reaches costs nothing.
// Cost: 2*O*C FLOP for each tap and position within the image at 70-90 % of the FMA peak, or one pass over the weights.
// Which task does what, and every order of adding, depends on the shape alone.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/cpu/conv_deep.cpp"
#include <algorithm>
#include <vector>

#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>
#include "tensor/cpu/epilogue-inl.h"
#include "tensor/cpu/product-inl.h"
#include "tensor/cpu/scratch.h"

HWY_BEFORE_NAMESPACE();
namespace querent::cpu::HWY_NAMESPACE {

// ---- forward: sums along vectors of input channels
constexpr int64_t dot_positions = 256;        // of a task
constexpr int64_t dot_channels = 1024;        // of inputs and weights at a time, which stay in the first caches
constexpr int largest_visits = wide ? 6 : 2;  // positions in registers

struct Visit {  // of a tap to a position within the image
  const float* x;
  int64_t position;
};

// sums[position][q] += the products of x and the weights of output q for channels c .. last, by vectors.
template <int PR, int Q>
void add_visits(const Visit* visits, const float* w, const int64_t* rows, int64_t c, int64_t last, float* sums) {
  const D d;
  V acc[PR][Q];
  const float* x[PR];
  float* to[PR];
  for (int r = 0; r < PR; ++r) {
    x[r] = visits[r].x;
    to[r] = sums + visits[r].position * Q * lanes();
    for (int q = 0; q < Q; ++q) acc[r][q] = hn::LoadU(d, to[r] + q * lanes());
  }
  const auto run = [&](int64_t c, auto load) HWY_ATTR {
    V g[Q];
    for (int q = 0; q < Q; ++q) g[q] = load(w + rows[q] + c);
    for (int r = 0; r < PR; ++r) {
      const V v = load(x[r] + c);
      for (int q = 0; q < Q; ++q) acc[r][q] = hn::MulAdd(v, g[q], acc[r][q]);
    }
  };
  for (; c + lanes() <= last; c += lanes()) run(c, [&](const float* p) HWY_ATTR { return hn::LoadU(d, p); });
  if (c < last) run(c, [&](const float* p) HWY_ATTR { return load_some(p, last - c); });
  for (int r = 0; r < PR; ++r)
    for (int q = 0; q < Q; ++q) hn::StoreU(acc[r][q], d, to[r] + q * lanes());
}
template <int Q, int... R>
constexpr auto visit_table(std::integer_sequence<int, R...>) {
  return std::array<void (*)(const Visit*, const float*, const int64_t*, int64_t, int64_t, float*), sizeof...(R)>{
      add_visits<R + 1, Q>...};
}

int64_t output_offset(const ConvJob& j, int64_t position) {
  const int64_t col = position % j.cols, row = position / j.cols % j.rows, n = position / j.cols / j.rows;
  return ((n * j.y_h + row * j.step_h + j.base_h) * j.y_w + col * j.step_w + j.base_w) * j.y_channels + j.y_first;
}
// What a tap reads at a position; null outside of the image.
const float* input_at(const ConvJob& j, const Tap& t, int64_t position) {
  const int64_t col = position % j.cols, row = position / j.cols % j.rows, n = position / j.cols / j.rows;
  const int64_t h = row * j.stride_h + t.row, w = col * j.stride_w + t.col;
  if (h < 0 || h >= j.h || w < 0 || w >= j.w) return nullptr;
  return j.x + ((n * j.h + h) * j.w + w) * j.x_channels + j.x_first;
}

template <int Q>
void dots(const ConvJob& j) {
  static constexpr auto table = visit_table<Q>(std::make_integer_sequence<int, largest_visits>());
  const int64_t positions = j.n * j.rows * j.cols, blocks = (positions + dot_positions - 1) / dot_positions;
  std::vector<std::vector<std::vector<Visit>>> visits(static_cast<size_t>(blocks));  // [block][tap]
  const Scratch memory = Scratch::per_thread(std::min(positions, dot_positions) * Q * lanes());
#pragma omp parallel
  {
#pragma omp for schedule(static)
    for (int64_t b = 0; b < blocks; ++b) {
      auto& of_block = visits[static_cast<size_t>(b)];
      of_block.resize(j.taps.size());
      const int64_t first = b * dot_positions, last = std::min(first + dot_positions, positions);
      for (size_t t = 0; t < j.taps.size(); ++t)
        for (int64_t k = first; k < last; ++k)
          if (const float* x = input_at(j, j.taps[t], k)) of_block[t].push_back({x, k - first});
    }
    float* const sums = memory.mine();
#pragma omp for schedule(static) collapse(2)
    for (int64_t b = 0; b < blocks; ++b) {
      for (int64_t o = 0; o < j.out; o += Q) {
        const int64_t first = b * dot_positions, count = std::min(dot_positions, positions - first);
        const int64_t outputs = std::min<int64_t>(Q, j.out - o);
        int64_t rows[Q];
        for (int64_t q = 0; q < Q; ++q) rows[q] = (o + std::min(q, outputs - 1)) * j.w_out;
        std::fill_n(sums, count * Q * lanes(), 0.0f);
        for (size_t t = 0; t < j.taps.size(); ++t) {
          const std::vector<Visit>& all = visits[static_cast<size_t>(b)][t];
          const auto total = static_cast<int64_t>(all.size()), parts = (total + largest_visits - 1) / largest_visits;
          for (int64_t c = 0; c < j.in; c += dot_channels) {
            for (int64_t i = 0; i < parts; ++i) {
              const int64_t begin = total * i / parts, now = total * (i + 1) / parts - begin;
              table[static_cast<size_t>(now - 1)](&all[static_cast<size_t>(begin)], j.weights + j.taps[t].weight, rows,
                                                  c, std::min(c + dot_channels, j.in), sums);
            }
          }
        }
        for (int64_t k = 0; k < count; ++k) {
          float y[Q];
          for (int64_t q = 0; q < outputs; ++q) {
            const V sum = hn::SumOfLanes(D(), hn::LoadU(D(), sums + (k * Q + q) * lanes()));
            y[q] = hn::GetLane(sum) + (j.bias ? j.bias[o + q] : 0);
          }
          float* const to = j.y + output_offset(j, first + k) + o;
          for (int64_t q = 0; q < outputs; q += lanes()) {
            const Finish finish(j.epilogue, o + q, outputs - q);
            store_some(finish(load_some(y + q, outputs - q)), to + q, outputs - q);
          }
        }
      }
    }
  }
}

// ---- adjoint: outputs side by side
void streamed(const ConvJob& j) {
  constexpr int64_t some = 64, range = 128, ahead = 8;  // inputs and outputs of a copied block; rows asked of memory
  const int64_t taps = static_cast<int64_t>(j.taps.size()), positions = j.n * j.rows * j.cols;
  const int64_t depth = row_stride(taps * j.in), width = 2 * lanes();
  const Scratch gathered(positions * depth);  // [position][tap][in], zero outside of the image
  const Scratch memory = Scratch::per_thread((positions + some) * range);
  float* const patches = gathered.data();
  std::vector<char> reached(j.taps.size(), 0);
#pragma omp parallel
  {
#pragma omp for schedule(static)
    for (int64_t t = 0; t < taps; ++t) {
      for (int64_t k = 0; k < positions; ++k) {
        const float* const x = input_at(j, j.taps[static_cast<size_t>(t)], k);
        float* const to = patches + k * depth + t * j.in;
        reached[static_cast<size_t>(t)] |= x != nullptr;
        if (x)
          std::copy_n(x, j.in, to);
        else
          std::fill_n(to, j.in, 0.0f);
      }
    }
    float *const sums = memory.mine(), *const block = sums + positions * range;
#pragma omp for schedule(static)
    for (int64_t o = 0; o < j.out; o += range) {
      const int64_t outputs = std::min(range, j.out - o);
      std::fill_n(sums, positions * range, 0.0f);
      for (int64_t t = 0; t < taps; ++t) {
        if (!reached[static_cast<size_t>(t)]) continue;
        for (int64_t c0 = 0; c0 < j.in; c0 += some) {
          const int64_t count = std::min(some, j.in - c0);
          const float* from = j.weights + j.taps[static_cast<size_t>(t)].weight + c0 * j.w_in + o;
          for (int64_t c = 0; c < count; ++c, from += j.w_in) {
            const bool more = c0 + c + ahead < j.in;
            for (int64_t v = 0; v < outputs; v += lanes()) {
              if (more) hwy::Prefetch(from + ahead * j.w_in + v);
              hn::StoreU(load_some(from + v, outputs - v), D(),
                         block + v / width * some * width + c * width + v % width);
            }
          }
          for (int64_t v = 0; v < outputs; v += width)
            product<2>({patches + t * j.in + c0, depth, 1, block + v * some, width, sums + v, range, count, true},
                       positions);
        }
      }
      for (int64_t k = 0; k < positions; ++k) {
        float* const to = j.y + output_offset(j, k) + o;
        for (int64_t v = 0; v < outputs; v += lanes()) {
          const V bias = j.bias ? load_some(j.bias + o + v, outputs - v) : hn::Zero(D());
          store_some(hn::Add(hn::LoadU(D(), sums + k * range + v), bias), to + v, outputs - v);
        }
      }
    }
  }
}

void RunConvDeep(const ConvJob& j) {
  if (j.w_in != 1)
    streamed(j);
  else if (j.out == 1)
    dots<1>(j);
  else
    dots<4>(j);
}

// ---- weight gradient
struct Pair {  // what meets at a position: a pixel of x and one of dy
  const float *x, *dy;
};

void RunConvWeightDeep(const ConvWeightJob& j) {
  constexpr int64_t chunk = 256, tiles = 16;  // positions and register tiles of a task
  const int64_t taps = j.kh * j.kw, positions = j.n * j.oh * j.ow, width = 2 * lanes();
  const int64_t c_padded = round_up(j.c, width), outputs = tiles * largest_rows;
  const Scratch memory = Scratch::per_thread(std::min(chunk, positions) * (c_padded + outputs));
#pragma omp parallel
  {
    float* const b = memory.mine();  // [panel of channels][position][width]
    std::vector<Pair> pairs;
#pragma omp for schedule(dynamic) collapse(2)
    for (int64_t tap = 0; tap < taps; ++tap) {
      for (int64_t o = 0; o < j.o; o += outputs) {
        const int64_t rows = std::min(outputs, j.o - o);
        bool add = false;
        for (int64_t first = 0; first < positions; first += chunk) {
          pairs.clear();
          for (int64_t k = first; k < std::min(first + chunk, positions); ++k) {
            const int64_t h = k / j.ow % j.oh * j.a.stride.h + tap / j.kw * j.a.dilation.h - j.a.padding.h;
            const int64_t w = k % j.ow * j.a.stride.w + tap % j.kw * j.a.dilation.w - j.a.padding.w;
            if (h < 0 || h >= j.h || w < 0 || w >= j.w) continue;
            pairs.push_back({j.x + ((k / j.ow / j.oh * j.h + h) * j.w + w) * j.c, j.dy + k * j.o + o});
          }
          const auto count = static_cast<int64_t>(pairs.size());
          if (count == 0 && (add || first + chunk < positions)) continue;
          float* const a = b + count * c_padded;  // [tile of outputs][position][largest_rows]
          for (int64_t k = 0; k < count; ++k) {
            const Pair& p = pairs[static_cast<size_t>(k)];
            for (int64_t c = 0; c < j.c; c += lanes())
              hn::StoreU(load_some(p.x + c, j.c - c), D(), b + (c / width * count + k) * width + c % width);
            for (int64_t r = 0; r < rows; r += largest_rows)
              std::copy_n(p.dy + r, std::min<int64_t>(largest_rows, rows - r), a + r * count + k * largest_rows);
          }
          for (int64_t r = 0; r < rows; r += largest_rows) {
            const int64_t now = std::min<int64_t>(largest_rows, rows - r);
            for (int64_t c = 0; c < j.c; c += width) {
              float* const to = j.dw + ((o + r) * taps + tap) * j.c + c;
              if (c + width <= j.c) {
                product<2>({a + r * count, 1, largest_rows, b + c * count, width, to, taps * j.c, count, add}, now);
                continue;
              }
              HWY_ALIGN float cut[largest_rows * 2 * hn::MaxLanes(D())];
              product<2>({a + r * count, 1, largest_rows, b + c * count, width, cut, width, count, false}, now);
              for (int64_t i = 0; i < now; ++i)
                for (int64_t k = 0; k < j.c - c; ++k)
                  to[i * taps * j.c + k] = cut[i * width + k] + (add ? to[i * taps * j.c + k] : 0);
            }
          }
          add = true;
        }
      }
    }
  }
}

}  // namespace querent::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace querent::cpu {
HWY_EXPORT(RunConvDeep);
HWY_EXPORT(RunConvWeightDeep);
void run_conv_deep(const ConvJob& job) { HWY_DYNAMIC_DISPATCH(RunConvDeep)(job); }
void run_conv_weight_deep(const ConvWeightJob& job) { HWY_DYNAMIC_DISPATCH(RunConvWeightDeep)(job); }
}  // namespace querent::cpu
#endif
