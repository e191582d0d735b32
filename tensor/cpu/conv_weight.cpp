// The weight gradient: dw[o,u,v,c] = sum over positions of dy[n,i,j,o] x[n, i*s+u*d-p, j*s+v*d-p, c].
//
// For one tap (u,v) this is a product of x' [pixels, C] and dy [pixels, O], both read where they lie: a tile of MC
// channels x 2 vectors of outputs costs, for each pixel, MC broadcasts of neighbouring floats of x, two loads of dy and
// 2*MC multiply-adds. Small filters: positions are cut into fixed chunks of rows, each summed into a buffer of its own,
// and the buffers are added in order. Large filters: one chunk, and threads share the tiles. Which of the two depends
// on the shape only, so the bits do not depend on the number of threads. Few positions with many channels: conv_deep.cpp.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/cpu/conv_weight.cpp"
#include <algorithm>

#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>
#include "tensor/cpu/conv_job.h"
#include "tensor/cpu/scratch.h"

HWY_BEFORE_NAMESPACE();
namespace querent::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr bool wide = HWY_TARGET == HWY_AVX3;

struct Strip {  // pixels of some rows that one tap can use
  const float *x, *dy;
  int64_t x_row, dy_row, x_step, dy_step;  // floats between rows and between pixels
  int64_t rows, pixels;
};

// sums[c*ld + o] += sum over the strip of x[c] dy[o] for MC channels and NV vectors; the last vector may be cut.
template <int MC, int NV>
HWY_INLINE void tile(const Strip& s, int64_t outputs, float* HWY_RESTRICT sums, int64_t ld) {
  const D d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  V acc[MC][NV];
  for (int r = 0; r < MC; ++r)
    for (int v = 0; v < NV; ++v) acc[r][v] = hn::LoadU(d, sums + r * ld + v * lanes);
  const auto run = [&](auto load) HWY_ATTR {
    for (int64_t i = 0; i < s.rows; ++i) {
      const float* HWY_RESTRICT x = s.x + i * s.x_row;
      const float* HWY_RESTRICT dy = s.dy + i * s.dy_row;
      for (int64_t j = 0; j < s.pixels; ++j, x += s.x_step, dy += s.dy_step) {
        V g[NV];
        for (int v = 0; v < NV; ++v) g[v] = load(dy, v);
        for (int r = 0; r < MC; ++r) {
          const V a = hn::Set(d, x[r]);
          for (int v = 0; v < NV; ++v) acc[r][v] = hn::MulAdd(a, g[v], acc[r][v]);
        }
      }
    }
  };
  if (outputs >= NV * lanes) {
    run([&](const float* dy, int v) HWY_ATTR { return hn::LoadU(d, dy + v * lanes); });
  } else {
    const auto last = hn::FirstN(d, static_cast<size_t>(outputs - (NV - 1) * lanes));
    run([&](const float* dy, int v)
            HWY_ATTR { return v + 1 < NV ? hn::LoadU(d, dy + v * lanes) : hn::MaskedLoad(last, d, dy + v * lanes); });
  }
  for (int r = 0; r < MC; ++r)
    for (int v = 0; v < NV; ++v) hn::StoreU(acc[r][v], d, sums + r * ld + v * lanes);
}

template <int NV>
void channels_of(const Strip& s, int64_t channels, int64_t outputs, float* sums, int64_t ld) {
  constexpr int big = wide ? (NV == 1 ? 16 : 12) : (NV == 1 ? 8 : 4);
  const auto advance = [&](int64_t n) {
    Strip t = s;
    t.x += n;
    return t;
  };
  int64_t c = 0;
  for (; c + big <= channels; c += big) tile<big, NV>(advance(c), outputs, sums + c * ld, ld);
  if constexpr (wide) {
    for (; c + 8 <= channels; c += 8) tile<8, NV>(advance(c), outputs, sums + c * ld, ld);
  }
  for (; c + 4 <= channels; c += 4) tile<4, NV>(advance(c), outputs, sums + c * ld, ld);
  for (; c < channels; ++c) tile<1, NV>(advance(c), outputs, sums + c * ld, ld);
}

// First and one past the last output position whose tap lies inside an axis of `size`.
void valid_range(int64_t size, int64_t out, int64_t stride, int64_t offset, int64_t& first, int64_t& last) {
  first = offset >= 0 ? 0 : (-offset + stride - 1) / stride;
  last = size - 1 - offset < 0 ? 0 : std::min(out, (size - 1 - offset) / stride + 1);
  last = std::max(first, last);
}

// Adds the part of image n, output rows [row, end), tap (u,v), group g, output panel o.. to sums.
void add_strip(const ConvWeightJob& j, int64_t n, int64_t row, int64_t end, int64_t u, int64_t v, int64_t g, int64_t o,
               float* sums, int64_t ld) {
  const D d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), cg = j.c / j.a.groups, og = j.o / j.a.groups;
  const int64_t dh = u * j.a.dilation.h - j.a.padding.h, dw = v * j.a.dilation.w - j.a.padding.w;
  int64_t i0 = 0, i1 = 0, j0 = 0, j1 = 0;
  valid_range(j.h, j.oh, j.a.stride.h, dh, i0, i1);
  valid_range(j.w, j.ow, j.a.stride.w, dw, j0, j1);
  i0 = std::max(i0, row);
  i1 = std::min(i1, end);
  if (i0 >= i1 || j0 >= j1) return;
  Strip s;
  s.x = j.x + ((n * j.h + i0 * j.a.stride.h + dh) * j.w + j0 * j.a.stride.w + dw) * j.c + g * cg;
  s.dy = j.dy + ((n * j.oh + i0) * j.ow + j0) * j.o + g * og + o;
  s.x_row = j.a.stride.h * j.w * j.c;
  s.dy_row = j.ow * j.o;
  s.x_step = j.a.stride.w * j.c;
  s.dy_step = j.o;
  s.rows = i1 - i0;
  s.pixels = j1 - j0;
  const int64_t outputs = og - o;
  if (outputs <= lanes)
    channels_of<1>(s, cg, outputs, sums, ld);
  else
    channels_of<2>(s, cg, outputs, sums, ld);
}

void RunConvWeight(const ConvWeightJob& j) {
  const D d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), cg = j.c / j.a.groups, og = j.o / j.a.groups;
  const int64_t panel = 2 * lanes, panels = (og + panel - 1) / panel, ld = panels * panel;
  const int64_t taps = j.kh * j.kw, size = j.a.groups * taps * cg * ld;  // sums: [group][tap][c][ld]
  // Rows a chunk: x and dy of a few rows stay in the L2 cache while every tap passes over them.
  const int64_t row_bytes = 4 * (j.w * j.c * j.a.stride.h + j.ow * j.o);
  const int64_t chunk_rows = std::clamp<int64_t>((256 << 10) / row_bytes, 1, j.oh);
  const int64_t row_chunks = (j.oh + chunk_rows - 1) / chunk_rows;
  const bool split = size <= 32768;  // small filters: a buffer for each of 16 parts of the positions
  const int64_t parts = split ? std::min<int64_t>(16, j.n * row_chunks) : 1;
  const int64_t strips = j.n * row_chunks;
  const Scratch memory(parts * size);
  float* const sums = memory.data();
#pragma omp parallel for schedule(static)
  for (int64_t k = 0; k < parts * size / ld; ++k) std::fill_n(sums + k * ld, ld, 0.0f);

  const auto add_part = [&](int64_t part, int64_t tap, int64_t g, int64_t p, float* to) {
    for (int64_t k = part * strips / parts; k < (part + 1) * strips / parts; ++k) {
      const int64_t row = k % row_chunks * chunk_rows;
      add_strip(j, k / row_chunks, row, std::min(row + chunk_rows, j.oh), tap / j.kw, tap % j.kw, g, p * panel, to, ld);
    }
  };
  if (split) {
#pragma omp parallel for schedule(dynamic)
    for (int64_t part = 0; part < parts; ++part) {
      for (int64_t k = part * strips / parts; k < (part + 1) * strips / parts; ++k) {
        const int64_t row = k % row_chunks * chunk_rows;
        for (int64_t g = 0; g < j.a.groups; ++g)
          for (int64_t tap = 0; tap < taps; ++tap)
            for (int64_t p = 0; p < panels; ++p)
              add_strip(j, k / row_chunks, row, std::min(row + chunk_rows, j.oh), tap / j.kw, tap % j.kw, g, p * panel,
                        sums + part * size + (g * taps + tap) * cg * ld + p * panel, ld);
      }
    }
  } else {
#pragma omp parallel for schedule(dynamic) collapse(3)
    for (int64_t g = 0; g < j.a.groups; ++g)
      for (int64_t p = 0; p < panels; ++p)
        for (int64_t tap = 0; tap < taps; ++tap)
          add_part(0, tap, g, p, sums + (g * taps + tap) * cg * ld + p * panel);
  }
  // dw[o,tap,c] = the parts, added in order; 16 outputs at a time, one cache line of sums.
  constexpr int64_t line = 16;
  const int64_t lines = (og + line - 1) / line;
#pragma omp parallel for schedule(static) collapse(3)
  for (int64_t g = 0; g < j.a.groups; ++g) {
    for (int64_t k = 0; k < lines; ++k) {
      for (int64_t tap = 0; tap < taps; ++tap) {
        for (int64_t c = 0; c < cg; ++c) {
          const float* from = sums + ((g * taps + tap) * cg + c) * ld + k * line;
          for (int64_t i = 0; i < std::min(line, og - k * line); ++i) {
            float sum = 0;
            for (int64_t part = 0; part < parts; ++part) sum += from[part * size + i];
            j.dw[((g * og + k * line + i) * taps + tap) * cg + c] = sum;
          }
        }
      }
    }
  }
}

}  // namespace querent::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace querent::cpu {
HWY_EXPORT(RunConvWeight);
void run_conv_weight(const ConvWeightJob& job) { HWY_DYNAMIC_DISPATCH(RunConvWeight)(job); }
}  // namespace querent::cpu
#endif
