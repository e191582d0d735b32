// The convolution kernel: direct, over rows, without im2col.
//
// A block of output rows is one task. The input rows it needs are first copied into scratch as planes:
// [row][phase][c][q], where column w of the image is phase w % stride and place q = w / stride, with zeros beyond the
// border. Now the inputs of neighbouring output pixels lie side by side, so a tile of MR pixels x 2 vectors of output
// channels is, for each tap and channel, two loads of weights, MR broadcasts at fixed offsets and 2*MR multiply-adds:
// the registers of the tile are written once. Scratch is read 9 times from L1/L2 for a 3x3 filter and written once;
// weights are packed once per call as [panel of channels][tap][c][lanes]. Cost: 2*taps*C*O FLOP per pixel at 70-90 % of
// the FMA peak when the row is wide. Images narrower than a tile (run_gathered) are cut into tiles of MR pixels across
// rows and images instead, each with its patches copied as [tap][c][MR]: the same tile kernel, full registers.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/cpu/conv_rows.cpp"
#include <algorithm>
#include <vector>

#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>
#include "tensor/cpu/epilogue-inl.h"
#include "tensor/cpu/scratch.h"

HWY_BEFORE_NAMESPACE();
namespace querent::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr bool wide = HWY_TARGET == HWY_AVX3;  // 32 registers instead of 16
constexpr int64_t largest_tile = wide ? 14 : 6;

int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

// What a tap reads: row of the scratch block relative to the output row, plane and place relative to the output column.
struct Place {
  int64_t row, plane, q;
};

struct Layout {
  int64_t first_row, last_row;  // input rows relative to out_row*stride_h
  int64_t first_q, q_count;     // places kept of each plane
  int64_t plane_stride, row_stride;
  std::vector<Place> places;  // one per tap
  std::vector<int64_t> phases;
};

Layout lay_out(const ConvJob& j) {
  Layout l{0, 0, 0, 0, 0, 0, {}, {}};
  if (j.taps.empty()) return l;
  l.first_row = l.last_row = j.taps[0].row;
  int64_t q_low = INT64_MAX, q_high = INT64_MIN;
  for (const Tap& t : j.taps) {
    l.first_row = std::min(l.first_row, t.row);
    l.last_row = std::max(l.last_row, t.row);
    const int64_t q = floor_div(t.col, j.stride_w), phase = t.col - q * j.stride_w;
    q_low = std::min(q_low, q);
    q_high = std::max(q_high, q);
    auto at = std::find(l.phases.begin(), l.phases.end(), phase);
    if (at == l.phases.end()) at = l.phases.insert(at, phase);
    l.places.push_back({t.row, at - l.phases.begin(), q});
  }
  l.first_q = q_low;
  l.q_count = j.cols + q_high - q_low + largest_tile;  // a last tile may read past the end
  l.plane_stride = j.in * l.q_count;
  l.row_stride = static_cast<int64_t>(l.phases.size()) * l.plane_stride;
  for (Place& p : l.places) {
    p.row -= l.first_row;
    p.q -= q_low;
  }
  return l;
}

// Copies input row `h` of image n as planes; zeros where there is no image.
void fill_row(const ConvJob& j, const Layout& l, int64_t n, int64_t h, float* HWY_RESTRICT to) {
  std::fill_n(to, l.row_stride, 0.0f);
  if (h < 0 || h >= j.h) return;
  const float* row = j.x + (n * j.h + h) * j.w * j.x_channels + j.x_first;
  for (size_t p = 0; p < l.phases.size(); ++p) {
    float* plane = to + static_cast<int64_t>(p) * l.plane_stride;
    for (int64_t q = 0; q < l.q_count; ++q) {
      const int64_t w = (q + l.first_q) * j.stride_w + l.phases[p];
      if (w < 0 || w >= j.w) continue;
      const float* from = row + w * j.x_channels;
      for (int64_t c = 0; c < j.in; ++c) plane[c * l.q_count + q] = from[c];
    }
  }
}

// MR pixels x NV vectors of channels.
template <int MR, int NV>
HWY_INLINE void tile(const ConvJob& j, const Layout& l, const float* HWY_RESTRICT rows, int64_t col,
                     const float* HWY_RESTRICT weights, const float* HWY_RESTRICT bias, float* HWY_RESTRICT y,
                     int64_t y_step, int64_t pixels, int64_t channels) {
  const D d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  V acc[MR][NV];
  for (int v = 0; v < NV; ++v) {
    const V b = hn::Load(d, bias + v * lanes);
    for (int r = 0; r < MR; ++r) acc[r][v] = b;
  }
  for (const Place& p : l.places) {
    const float* HWY_RESTRICT a = rows + p.row * l.row_stride + p.plane * l.plane_stride + p.q + col;
    for (int64_t c = 0; c < j.in; ++c) {
      V w[NV];
      for (int v = 0; v < NV; ++v) w[v] = hn::Load(d, weights + v * lanes);
      for (int r = 0; r < MR; ++r) {
        const V x = hn::Set(d, a[r]);
        for (int v = 0; v < NV; ++v) acc[r][v] = hn::MulAdd(x, w[v], acc[r][v]);
      }
      a += l.q_count;
      weights += NV * lanes;
    }
  }
  if (channels == NV * lanes) {
    for (int r = 0; r < MR; ++r) {
      if (r >= pixels) break;
      for (int v = 0; v < NV; ++v) hn::StoreU(acc[r][v], d, y + r * y_step + v * lanes);
    }
    return;
  }
  for (int r = 0; r < MR; ++r) {
    if (r >= pixels) break;
    for (int v = 0; v < NV; ++v) {
      const int64_t left = channels - v * lanes;
      if (left > 0)
        hn::BlendedStore(acc[r][v], hn::FirstN(d, static_cast<size_t>(std::min(left, lanes))), d,
                         y + r * y_step + v * lanes);
    }
  }
}

using Tile = void (*)(const ConvJob&, const Layout&, const float*, int64_t, const float*, const float*, float*, int64_t,
                      int64_t, int64_t);
struct TileChoice {
  int64_t pixels;
  Tile run;
};
template <int NV>
TileChoice choose_tile(int64_t cols) {
  static constexpr TileChoice wide_tiles[] = {
      {4, tile<4, NV>}, {8, tile<8, NV>}, {11, tile<11, NV>}, {13, tile<13, NV>}, {14, tile<14, NV>}};
  static constexpr TileChoice narrow_tiles[] = {{2, tile<2, NV>}, {4, tile<4, NV>}, {5, tile<5, NV>}, {6, tile<6, NV>}};
  const TileChoice* all = wide ? wide_tiles : narrow_tiles;
  const int64_t count = wide ? 5 : 4;
  TileChoice best = all[0];
  double best_cost = 1e30;
  for (int64_t i = 0; i < count; ++i) {
    // A tile costs its multiply-adds plus the loads of weights; choose the least cost for the whole row.
    const double cost =
        static_cast<double>((cols + all[i].pixels - 1) / all[i].pixels) * static_cast<double>(all[i].pixels + 1);
    if (cost < best_cost) best_cost = cost, best = all[i];
  }
  return best;
}

// The epilogue on `pixels` x `channels` values, which are still in the cache; channels are those of the job from `first` on.
void finish_values(const Epilogue& e, int64_t first, float* y, int64_t y_step, int64_t pixels, int64_t channels) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t c = 0; c < channels; c += lanes) {
    const int64_t left = std::min(channels - c, lanes);
    const Finish finish(e, first + c, left);
    const auto some = hn::FirstN(d, static_cast<size_t>(left));
    for (int64_t r = 0; r < pixels; ++r) {
      float* const at = y + r * y_step + c;
      if (left == lanes)
        hn::StoreU(finish(hn::LoadU(d, at)), d, at);
      else
        hn::BlendedStore(finish(hn::MaskedLoad(some, d, at)), some, d, at);
    }
  }
}

// Weights as [panel of channels][tap][c][width] and biases as [panel][width], aligned to vectors, zero beyond the end.
template <int NV>
struct Packed {
  explicit Packed(const ConvJob& j)
      : width(NV * static_cast<int64_t>(hn::Lanes(D()))),
        panels((j.out + width - 1) / width),
        panel_size(static_cast<int64_t>(j.taps.size()) * j.in * width),
        memory(panels * (panel_size + width)),
        weights(memory.data()),
        bias(weights + panels * panel_size) {
#pragma omp parallel for schedule(static)
    for (int64_t p = 0; p < panels; ++p) {
      const int64_t count = std::min(width, j.out - p * width);
      for (int64_t o = 0; o < width; ++o) bias[p * width + o] = j.bias && o < count ? j.bias[p * width + o] : 0;
      float* to = weights + p * panel_size;
      for (const Tap& t : j.taps) pack(j, j.weights + t.weight + p * width * j.w_out, count, to), to += j.in * width;
    }
  }
  // One tap of one panel.
  void pack(const ConvJob& j, const float* from, int64_t count, float* to) const {
    const D d;
    const hn::RebindToSigned<D> di;
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
    if (count < width) {
      for (int64_t c = 0; c < j.in; ++c, to += width)
        for (int64_t o = 0; o < width; ++o) to[o] = o < count ? from[o * j.w_out + c * j.w_in] : 0;
      return;
    }
    const auto places = hn::Mul(hn::Iota(di, 0), hn::Set(di, static_cast<int32_t>(j.w_out)));
    for (int64_t c = 0; c < j.in; ++c, to += width, from += j.w_in) {
      for (int64_t o = 0; o < width; o += lanes)
        hn::Store(j.w_out == 1 ? hn::LoadU(d, from + o) : hn::GatherIndex(d, from + o * j.w_out, places), d, to + o);
    }
  }

  int64_t width, panels, panel_size;
  Scratch memory;
  float *weights, *bias;
};

template <int NV>
void run_rows(const ConvJob& j) {
  const int64_t taps = static_cast<int64_t>(j.taps.size());
  const Layout l = lay_out(j);
  const Packed<NV> packed(j);
  const int64_t width = packed.width;
  const TileChoice choice = choose_tile<NV>(j.cols);
  // Blocks of rows: enough tasks for any machine, each large enough to reuse its weights; a function of the shape only.
  const int64_t block = std::clamp<int64_t>(j.n * j.rows / 16, 1, 8);
  const int64_t blocks = (j.rows + block - 1) / block;
  const Scratch planes = Scratch::per_thread(((block - 1) * j.stride_h + l.last_row - l.first_row + 1) * l.row_stride);
#pragma omp parallel
  {
    float* const own = planes.mine();
#pragma omp for schedule(dynamic) collapse(2)
    for (int64_t n = 0; n < j.n; ++n) {
      for (int64_t b = 0; b < blocks; ++b) {
        const int64_t first = b * block, last = std::min(first + block, j.rows);
        if (taps > 0) {
          const int64_t rows = (last - 1 - first) * j.stride_h + l.last_row - l.first_row + 1;
          for (int64_t r = 0; r < rows; ++r) {
            fill_row(j, l, n, first * j.stride_h + l.first_row + r, own + r * l.row_stride);
          }
        }
        for (int64_t p = 0; p < packed.panels; ++p) {
          for (int64_t i = first; i < last; ++i) {
            const float* rows = own + (i - first) * j.stride_h * l.row_stride;
            float* y =
                j.y + ((n * j.y_h + i * j.step_h + j.base_h) * j.y_w + j.base_w) * j.y_channels + j.y_first + p * width;
            for (int64_t col = 0; col < j.cols; col += choice.pixels) {
              choice.run(j, l, rows, col, packed.weights + p * packed.panel_size, packed.bias + p * width,
                         y + col * j.step_w * j.y_channels, j.step_w * j.y_channels, j.cols - col, std::min(width, j.out - p * width));
            }
            if (j.epilogue.any())
              finish_values(j.epilogue, p * width, y, j.y_channels, j.cols, std::min(width, j.out - p * width));
          }
        }
      }
    }
  }
}

// Copies what output pixel `pixel` (of N*rows*cols) reads to to[(tap*in + c) * largest_tile].
void gather_patch(const ConvJob& j, int64_t pixel, float* to) {
  const int64_t col = pixel % j.cols, row = pixel / j.cols % j.rows, n = pixel / j.cols / j.rows;
  for (const Tap& t : j.taps) {
    const int64_t h = row * j.stride_h + t.row, w = col * j.stride_w + t.col;
    const bool inside = n < j.n && h >= 0 && h < j.h && w >= 0 && w < j.w;
    const float* from = inside ? j.x + ((n * j.h + h) * j.w + w) * j.x_channels + j.x_first : nullptr;
    for (int64_t c = 0; c < j.in; ++c, to += largest_tile) *to = inside ? from[c] : 0;
  }
}

template <int NV>
void run_gathered(const ConvJob& j) {
  const int64_t taps = static_cast<int64_t>(j.taps.size()), pixels = j.n * j.rows * j.cols;
  const int64_t tiles = (pixels + largest_tile - 1) / largest_tile, tile_size = taps * j.in * largest_tile;
  const int64_t group = std::clamp<int64_t>((512 << 10) / std::max<int64_t>(tile_size, 1), 1, tiles);  // about 2 MiB
  Layout l{0, 0, 0, largest_tile, 0, j.in * largest_tile, {}, {}};
  for (int64_t t = 0; t < taps; ++t) l.places.push_back({t, 0, 0});
  const Packed<NV> packed(j);
  const int64_t width = packed.width;
  const Scratch memory(group * tile_size);
  float* const patches = memory.data();
  for (int64_t first = 0; first < tiles; first += group) {
    const int64_t last = std::min(first + group, tiles);
#pragma omp parallel
    {
#pragma omp for schedule(static)
      for (int64_t k = 0; k < (last - first) * largest_tile; ++k)
        gather_patch(j, first * largest_tile + k,
                     patches + k / largest_tile * tile_size + k % largest_tile);
#pragma omp for schedule(dynamic) collapse(2)
      for (int64_t p = 0; p < packed.panels; ++p) {
        for (int64_t k = first; k < last; ++k) {
          HWY_ALIGN float out[largest_tile * NV * hn::MaxLanes(D())];
          tile<largest_tile, NV>(j, l, patches + (k - first) * tile_size, 0,
                                 packed.weights + p * packed.panel_size, packed.bias + p * width, out, width,
                                 largest_tile, width);
          if (j.epilogue.any())
            finish_values(j.epilogue, p * width, out, width, largest_tile, std::min(width, j.out - p * width));
          for (int64_t r = 0; r < std::min(largest_tile, pixels - k * largest_tile); ++r) {
            const int64_t at = k * largest_tile + r, col = at % j.cols, row = at / j.cols % j.rows;
            const int64_t n = at / j.cols / j.rows;
            float* y = j.y + ((n * j.y_h + row * j.step_h + j.base_h) * j.y_w + col * j.step_w + j.base_w) * j.y_channels;
            std::copy_n(out + r * width, std::min(width, j.out - p * width), y + j.y_first + p * width);
          }
        }
      }
    }
  }
}

template <int NV>
void run(const ConvJob& j) {
  if (j.cols < (wide ? 7 : 4))
    run_gathered<NV>(j);
  else
    run_rows<NV>(j);
}

void RunConv(const ConvJob& j) {
  if (j.out <= static_cast<int64_t>(hn::Lanes(D())))
    run<1>(j);
  else
    run<2>(j);
}

}  // namespace querent::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace querent::cpu {
HWY_EXPORT(RunConv);
void run_conv(const ConvJob& job) { HWY_DYNAMIC_DISPATCH(RunConv)(job); }
}  // namespace querent::cpu
#endif
