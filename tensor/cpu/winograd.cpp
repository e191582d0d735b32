// Winograd's minimal filtering (Lavin and Gray 2016): a tile of M x M outputs needs T = M + R - 1 inputs a side and T*T
// products for each pair of channels, where the direct sum needs R*R*M*M: for 3x3 filters 4 times fewer with T = 6
// and 2.25 times fewer with T = 4; for 4x4 ones of stride 1, 4 times; for 4x4 ones of stride 2, which are 2x2 ones of
// stride 1 over the four phases of the image (winograd.h), 2.8 and 2.25 times.
//
//   y = A' [ (G g G') .* (B' d B) ] A          d: T x T inputs, g: R x R weights, y: M x M outputs, .*: per element
//
// Summed over channels, each of the T*T elements is a matrix product [tiles, in] x [in, out]. What is largest streams
// through the caches once, the rest stays there (winograd.h):
// - many tiles: a thread takes a block of them from end to end, whose transformed inputs V and products M stay in the
//   second-level cache; the weights U were transformed before;
// - many weights: V of all tiles is there before; a thread takes 32 outputs, transforms their weights 64 channels at a
//   time and finishes them. U never leaves the second-level cache.
// The weight gradient is dg = G' [ sum over tiles (A dy A') .* (B' d B) ] G, in the same two ways: blocks of tiles one
// after the other, threads sharing the T*T products of a block; or all tiles at once, threads taking parts of the
// filters. Every sum has one order whatever the number of threads. The price: rounding errors about 10 times those of
// the direct sum for T = 6 (still some 1e-6 of the largest output).
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/cpu/winograd.cpp"
#include <algorithm>

#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>
#include "tensor/cpu/conv_plan.h"
#include "tensor/cpu/epilogue-inl.h"
#include "tensor/cpu/scratch.h"
#include "tensor/cpu/winograd.h"
#include "tensor/cpu/winograd_points-inl.h"

HWY_BEFORE_NAMESPACE();
namespace querent::cpu::HWY_NAMESPACE {

struct Grid {  // the tiles of an image, and where one lies
  int64_t across, down, count;
  Grid(int64_t n, int64_t rows, int64_t cols, int m)
      : across((cols + m - 1) / m), down((rows + m - 1) / m), count(n * across * down) {}
  struct Place {
    int64_t n, row, col;
  };
  Place place(int64_t tile, int m) const {
    return {tile / (across * down), tile / across % down * m, tile % across * m};
  }
};

// Transforms the T x T inputs of all phases from (row, col) on into to[xi*xi_step + phase*channels + c]; up to a vector
// of zeros follows the last channel. With parts, of which a phase has a whole number, depth d = phase*channels + c goes to
// d/part*part_step + d%part.
template <int T, int R, class Job>
void transform_input(const Job& j, Grid::Place at, float* to, int64_t xi_step, int64_t part = INT64_MAX,
                     int64_t part_step = 0) {
  // Stores of vectors may alias anything, the job too: what loops need is copied.
  const int64_t h = j.h, w = j.w, channels = j.in, step = R == 2 ? j.x_step : 1;  // only 2x2 filters have phases
  const float* const image = j.x + at.n * j.h * j.w * channels;
  for (int64_t phase = 0; phase < step * step; ++phase) {
    const int64_t row = at.row * step + phase / step - j.pad_h, col = at.col * step + phase % step - j.pad_w;
    const auto run = [&](auto load) HWY_ATTR {
      for (int64_t c = 0, in_part = 0; c < channels; c += lanes(), in_part += lanes()) {
        if (in_part == part) to += part_step, in_part = 0;  // only in the middle of a phase
        float* const here = to + in_part;
        V half[T][T];
        for (int y = 0; y < T; ++y) {
          V d[T];
          for (int x = 0; x < T; ++x) d[x] = load(row + y * step, col + x * step, c);
          Points<T>::input(d, half[y]);
        }
        for (int x = 0; x < T; ++x) {
          V d[T], o[T];
          for (int y = 0; y < T; ++y) d[y] = half[y][x];
          Points<T>::input(d, o);
          for (int y = 0; y < T; ++y) hn::StoreU(o[y], D(), here + (y * T + x) * xi_step);
        }
      }
    };
    const int64_t reach = (T - 1) * step;
    if (row >= 0 && col >= 0 && row + reach < h && col + reach < w && channels % lanes() == 0) {
      run([&](int64_t y, int64_t x, int64_t c) HWY_ATTR { return hn::LoadU(D(), image + (y * w + x) * channels + c); });
    } else {
      run([&](int64_t y, int64_t x, int64_t c) HWY_ATTR {
        const bool there = y >= 0 && y < h && x >= 0 && x < w;
        return there ? load_some(image + (y * w + x) * channels + c, channels - c) : hn::Zero(D());
      });
    }
    to += part == INT64_MAX ? channels : part_step;
  }
}

// Transforms the M x M gradients at (row, col) into to[xi*xi_step + o].
template <int T, int M>
void transform_gradient(const WinogradWeightJob& j, Grid::Place at, float* to, int64_t xi_step) {
  const int64_t rows = j.rows, cols = j.cols, out = j.out;
  const float* const image = j.dy + at.n * rows * cols * out;
  for (int64_t c = 0; c < out; c += lanes()) {
    V half[M][T];
    for (int y = 0; y < M; ++y) {
      V d[M];
      for (int x = 0; x < M; ++x) {
        const bool there = at.row + y < rows && at.col + x < cols;
        const float* from = image + ((at.row + y) * cols + at.col + x) * out + c;
        d[x] = there ? load_some(from, out - c) : hn::Zero(D());
      }
      Points<T>::template spread<M>(d, half[y]);
    }
    for (int x = 0; x < T; ++x) {
      V d[M], o[T];
      for (int y = 0; y < M; ++y) d[y] = half[y][x];
      Points<T>::template spread<M>(d, o);
      for (int y = 0; y < T; ++y) hn::StoreU(o[y], D(), to + (y * T + x) * xi_step + c);
    }
  }
}

// Transforms products from[xi*xi_step + o - first] into the M x M outputs `first` .. `last` of a phase from (row, col)
// on: adds the bias, does what follows.
template <int T, int M>
void transform_output(const float* from, int64_t xi_step, int64_t phase, int64_t first, int64_t last,
                      const WinogradJob& j, Grid::Place at) {
  const int64_t step = T + 1 - M == 2 ? j.y_step : 1;
  const int64_t rows = j.rows, cols = j.cols, out = j.out;
  float* const image = j.y + at.n * rows * cols * out;
  const int64_t row = at.row * step + phase / step - j.crop_h, col = at.col * step + phase % step - j.crop_w;
  for (int64_t c = first; c < last; c += lanes()) {
    const int64_t left = last - c;
    V half[M][T];
    for (int x = 0; x < T; ++x) {
      V d[T], o[M];
      for (int y = 0; y < T; ++y) d[y] = hn::LoadU(D(), from + (y * T + x) * xi_step + c - first);
      Points<T>::template output<M>(d, o);
      for (int y = 0; y < M; ++y) half[y][x] = o[y];
    }
    const V bias = j.bias ? load_some(j.bias + c, left) : hn::Zero(D());
    const Finish finish(j.epilogue, c, left);
    for (int y = 0; y < M; ++y) {
      const int64_t r = row + y * step;
      V o[M];
      Points<T>::template output<M>(half[y], o);
      for (int x = 0; x < M && r >= 0 && r < rows; ++x) {
        const int64_t k = col + x * step;
        if (k >= 0 && k < cols) store_some(finish(hn::Add(o[x], bias)), image + (r * cols + k) * out + c, left);
      }
    }
  }
}

// to[c*lanes + o] = the weight of one tap from input c < `in` to output o < `out`; nothing is written for other o.
// Where inputs are neighbours in memory, squares of 4 x 4 are turned in registers.
void gather_taps(const WinogradWeights& j, const float* from, int64_t in, int64_t out, float* to) {
  if (j.out == 1) {
    for (int64_t c = 0; c < in; ++c) store_some(load_some(from + c * j.in, out), to + c * lanes(), out);
    return;
  }
  int64_t c = 0;
#if HWY_TARGET != HWY_SCALAR
  if (j.in == 1 && out % 4 == 0) {
    const hn::FixedTag<float, 4> d;
    const hn::Repartition<double, decltype(d)> pairs;
    for (; c + 4 <= in; c += 4) {
      for (int64_t o = 0; o < out; o += 4) {
        const float* corner = from + o * j.out + c;
        const auto r0 = hn::LoadU(d, corner), r1 = hn::LoadU(d, corner + j.out), r2 = hn::LoadU(d, corner + 2 * j.out),
                   r3 = hn::LoadU(d, corner + 3 * j.out);
        const auto a = hn::BitCast(pairs, hn::InterleaveLower(d, r0, r1)),
                   b = hn::BitCast(pairs, hn::InterleaveLower(d, r2, r3)),
                   e = hn::BitCast(pairs, hn::InterleaveUpper(d, r0, r1)),
                   f = hn::BitCast(pairs, hn::InterleaveUpper(d, r2, r3));
        float* const at = to + c * lanes() + o;
        hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, a, b)), d, at);
        hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, a, b)), d, at + lanes());
        hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, e, f)), d, at + 2 * lanes());
        hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, e, f)), d, at + 3 * lanes());
      }
    }
  }
#endif
  for (; c < in; ++c)
    for (int64_t o = 0; o < out; ++o) to[c * lanes() + o] = from[o * j.out + c * j.in];
}

// Where a panel of 32 outputs lies among those of all phases, and where its channels begin.
struct Panel {
  int64_t phase, first;
  Panel(const WinogradJob& j, int64_t p) {
    const int64_t each = (j.out + filter_panel - 1) / filter_panel;
    phase = p / each, first = p % each * filter_panel;
  }
};

// Input channels are transformed in runs of at most so many, of one phase of x; runs follow one another in the depth.
constexpr int64_t run_channels = 16, winograd_depth = winograd_runs * run_channels;
int64_t runs_of(const WinogradJob& j) { return j.x_phases() * ((j.in + run_channels - 1) / run_channels); }
struct Run {
  int64_t phase, c0, count, depth;  // the depth of its first channel
  Run(const WinogradJob& j, int64_t k) {
    const int64_t each = (j.in + run_channels - 1) / run_channels;
    phase = k / each, c0 = k % each * run_channels, count = std::min(run_channels, j.in - c0),
    depth = phase * j.in + c0;
  }
};

// G g G' of a run and a panel as to[xi*xi_step + channel of the run*filter_panel + output], zero beyond the last
// output.
template <int T, int R>
void transform_run(const WinogradJob& j, const Panel& panel, const Run& run, float* to, int64_t xi_step) {
  const int64_t phase = panel.phase + run.phase, step = j.x_step * j.y_step;  // one of the two has phases
  for (int64_t o = 0; o < filter_panel; o += lanes()) {
    const int64_t out = std::clamp<int64_t>(j.out - panel.first - o, 0, lanes());
    HWY_ALIGN float taps[R * R * run_channels * hn::MaxLanes(D())];
    if (out < lanes()) std::fill_n(taps, R * R * run_channels * lanes(), 0.0f);
    const float* const corner = j.weights.weights + (panel.first + o) * j.weights.out + run.c0 * j.weights.in +
                                phase / step * j.weights.phase_h + phase % step * j.weights.phase_w;
    for (int t = 0; t < R * R; ++t)
      gather_taps(j.weights, corner + t / R * j.weights.tap_h + t % R * j.weights.tap_w, run.count, out,
                  taps + t * run_channels * lanes());
    for (int64_t c = 0; c < run.count; ++c) {
      V half[R][T];  // [column][row]
      for (int x = 0; x < R; ++x) {
        V g[R];
        for (int y = 0; y < R; ++y) g[y] = hn::Load(D(), taps + ((R * y + x) * run_channels + c) * lanes());
        Points<T>::template weights<R>(g, half[x]);
      }
      for (int y = 0; y < T; ++y) {
        V g[R], u[T];
        for (int x = 0; x < R; ++x) g[x] = half[x][y];
        Points<T>::template weights<R>(g, u);
        for (int x = 0; x < T; ++x) hn::StoreU(u[x], D(), to + (y * T + x) * xi_step + c * filter_panel + o);
      }
    }
  }
}

// All of them as to[xi][panel, phase of y by phase][depth][filter_panel].
template <int T, int R>
void transform_weights(const WinogradJob& j, float* to) {
  const int64_t panels = j.panels(), runs = runs_of(j), size = j.depth() * filter_panel;
#pragma omp parallel for collapse(2) schedule(static)
  for (int64_t p = 0; p < panels; ++p) {
    for (int64_t k = 0; k < runs; ++k) {
      const Run run(j, k);
      transform_run<T, R>(j, Panel(j, p), run, to + p * size + run.depth * filter_panel, panels * size);
    }
  }
}

// Asks memory for a share of the weights of a panel and of the runs from k on, which lie far apart in it.
template <int R>
void ask_for_weights(const WinogradJob& j, const Panel& panel, const Run& run, int64_t share, int64_t shares) {
  const WinogradWeights& w = j.weights;
  const int64_t outputs = std::min(filter_panel, j.out - panel.first), channels = std::min(winograd_depth, j.in - run.c0);
  const int64_t phase = panel.phase + run.phase, step = j.x_step * j.y_step;
  const float* const corner = w.weights + panel.first * w.out + run.c0 * w.in + phase / step * w.phase_h + phase % step * w.phase_w;
  const int64_t apart = w.in == 1 ? w.out : w.in, rows = (w.in == 1 ? outputs : channels) * R * R;
  const int64_t length = w.in == 1 ? channels : outputs;
  for (int64_t i = rows * share / shares; i < rows * (share + 1) / shares; ++i) {
    const float* const row = corner + i / (R * R) * apart + i % (R * R) / R * w.tap_h + i % R * w.tap_w;
    for (int64_t c = 0; c < length; c += 16) hwy::Prefetch(row + c);
  }
}

// Few tiles: panels of outputs one by one, through all channels. Inputs lie as [part of the depth][xi][tile][part], so that
// the ones that meet some transformed weights are one run of memory.
template <int T, int R, int NV>
void forward_by_panels(const WinogradJob& j, const Grid& grid, int64_t in) {
  constexpr int M = T + 1 - R, X = T * T;
  const int64_t tiles = grid.count, panels = j.panels(), depth = j.depth(), runs = runs_of(j), width = NV * lanes();
  const bool parts = j.in % winograd_depth == 0;
  const int64_t part = parts ? winograd_depth : depth, row = parts ? winograd_depth : in;  // of the depth; from tile to tile
  const int64_t v_plane = plane_stride(tiles * row), m_plane = plane_stride(tiles * filter_panel);
  const int64_t u_plane = plane_stride(winograd_depth * filter_panel);
  const Scratch inputs(depth / part * X * v_plane), own = Scratch::per_thread(X * (m_plane + (j.filters ? 0 : u_plane)));
  float* const v = inputs.data();
#pragma omp parallel
  {
    float *const m = own.mine(), *const u = m + X * m_plane;
#pragma omp for schedule(static)
    for (int64_t t = 0; t < tiles; ++t)
      transform_input<T, R>(j, grid.place(t, M), v + t * row, v_plane, parts ? part : INT64_MAX, X * v_plane);
#pragma omp for schedule(dynamic)
    for (int64_t p = 0; p < panels; ++p) {
      const Panel panel(j, p);
      const int64_t last = std::min(panel.first + filter_panel, j.out);
      // m (+)= v w for w of `count` channels from `from` on, within a part; `next` is the first run of the following ones
      const auto products = [&](const float* w, int64_t w_plane, int64_t from, int64_t count, int64_t next) {
        const float* const inputs_from = v + from / part * X * v_plane + from % part;
        for (int64_t xi = 0; xi < X; ++xi) {
          if (next < runs) ask_for_weights<R>(j, panel, Run(j, next), xi, X);
          for (int64_t o = 0; o < last - panel.first; o += width)
            product<NV>({inputs_from + xi * v_plane, row, 1, w + xi * w_plane + o, filter_panel, m + xi * m_plane + o,
                         filter_panel, count, from > 0, true},
                        tiles);
        }
      };
      for (int64_t from = 0; j.filters && from < depth; from += part)
        products(j.filters + (p * depth + from) * filter_panel, panels * depth * filter_panel, from, part, runs);
      for (int64_t k = 0; !j.filters && k < runs; k += winograd_runs) {
        const int64_t from = Run(j, k).depth;
        int64_t count = 0;
        for (int64_t i = k; i < std::min(k + winograd_runs, runs); ++i) {
          const Run run(j, i);
          transform_run<T, R>(j, panel, run, u + count * filter_panel, u_plane);
          count += run.count;
        }
        products(u, u_plane, from, count, k + winograd_runs);
      }
      for (int64_t t = 0; t < tiles; ++t)
        transform_output<T, M>(m + t * filter_panel, m_plane, panel.phase, panel.first, last, j, grid.place(t, M));
    }
  }
}

// Many tiles: block by block, through all outputs.
template <int T, int R, int NV>
void forward_by_blocks(const WinogradJob& j, const Grid& grid, int64_t in) {
  constexpr int M = T + 1 - R, X = T * T;
  const int64_t panels = j.panels(), depth = j.depth(), width = NV * lanes(), u_plane = panels * depth * filter_panel;
  const int64_t each = round_up(j.out, width), out = row_stride(j.y_phases() * each);
  const Scratch weights(j.filters ? 0 : X * u_plane);
  if (!j.filters) transform_weights<T, R>(j, weights.data());
  const float* const u = j.filters ? j.filters : weights.data();
  const int64_t block = winograd_block(X, in, out), v_plane = plane_stride(block * in),
                m_plane = plane_stride(block * out);
  const Scratch own = Scratch::per_thread(X * (v_plane + m_plane));
#pragma omp parallel
  {
    float *const v = own.mine(), *const m = v + X * v_plane;
#pragma omp for schedule(dynamic)
    for (int64_t first = 0; first < grid.count; first += block) {
      const int64_t count = std::min(block, grid.count - first);
      for (int64_t t = 0; t < count; ++t) transform_input<T, R>(j, grid.place(first + t, M), v + t * in, v_plane);
      for (int64_t xi = 0; xi < X; ++xi) {
        for (int64_t p = 0; p < panels; ++p) {
          const Panel panel(j, p);
          for (int64_t o = 0; o < std::min(filter_panel, j.out - panel.first); o += width)
            product<NV>({v + xi * v_plane, in, 1, u + xi * u_plane + p * depth * filter_panel + o, filter_panel,
                         m + xi * m_plane + panel.phase * each + panel.first + o, out, depth, false},
                        count);
        }
      }
      for (int64_t t = 0; t < count; ++t)
        for (int64_t phase = 0; phase < j.y_phases(); ++phase)
          transform_output<T, M>(m + t * out + phase * each, m_plane, phase, 0, j.out, j, grid.place(first + t, M));
    }
  }
}

template <int T, int R, int NV>
void forward(const WinogradJob& j) {
  const Grid grid(j.n, (j.rows + j.crop_h + j.y_step - 1) / j.y_step, (j.cols + j.crop_w + j.y_step - 1) / j.y_step,
                  T + 1 - R);
  const int64_t in = row_stride(j.depth() - j.in + round_up(j.in, lanes()));
  if (winograd_by_panels(j.depth(), j.y_phases() * j.out, grid.count))
    forward_by_panels<T, R, NV>(j, grid, in);
  else
    forward_by_blocks<T, R, NV>(j, grid, in);
}

// dw = G' du G for output o and NV vectors of channels of a phase, from du[xi*xi_step + channel].
template <int T, int R, int NV>
void transform_sums(const WinogradWeightJob& j, const float* du, int64_t xi_step, int64_t o, int64_t phase,
                    int64_t first) {
  static constexpr auto G = shares<T, R>();
  float* const to = j.dw + o * j.to.out + phase / j.x_step * j.to.phase_h + phase % j.x_step * j.to.phase_w;
  for (int64_t c = first; c < std::min(first + NV * lanes(), j.in); c += lanes()) {
    V half[R][T];
    for (int x = 0; x < T; ++x) {
      V column[R];
      for (int k = 0; k < R; ++k) column[k] = hn::Zero(D());
      for (int y = 0; y < T; ++y) {
        const V value = hn::LoadU(D(), du + (y * T + x) * xi_step + c - first);
        for (int k = 0; k < R; ++k) column[k] = hn::MulAdd(set(G[y][k]), value, column[k]);
      }
      for (int k = 0; k < R; ++k) half[k][x] = column[k];
    }
    for (int k = 0; k < R; ++k)
      for (int l = 0; l < R; ++l) {
        V sum = hn::Zero(D());
        for (int x = 0; x < T; ++x) sum = hn::MulAdd(set(G[x][l]), half[k][x], sum);
        store_some(sum, to + k * j.to.tap_h + l * j.to.tap_w + c, j.in - c);
      }
  }
}

template <int T, int R, int NV>
void weight_gradient(const WinogradWeightJob& j) {
  constexpr int M = T + 1 - R, X = T * T;
  const int64_t phases = j.x_step * j.x_step, width = NV * lanes(), each = (j.in + width - 1) / width;
  const int64_t panels = phases * each;  // of input channels
  const int64_t in = row_stride((phases - 1) * j.in + each * width), out = row_stride(round_up(j.out, lanes()));
  const Grid grid(j.n, j.rows, j.cols, M);
  const bool few = winograd_few(phases * j.in, j.out, grid.count);
  const int64_t block = few ? grid.count : winograd_weight_block(X, in, out, grid.count);
  const int64_t v_plane = plane_stride(block * in), z_plane = plane_stride(block * out);
  const Scratch transformed(X * (v_plane + z_plane));
  float *const v = transformed.data(), *const z = v + X * v_plane;
  const auto transform = [&](int64_t tile, int64_t t) {
    const Grid::Place at = grid.place(tile, M);
    transform_input<T, R>(j, at, v + t * in, v_plane);
    transform_gradient<T, M>(j, at, z + t * out, z_plane);
  };
  // sums[xi*xi_step + output*ld ..] (+)= z' v for outputs from o on and the channels of panel p
  const auto products = [&](int64_t xi, int64_t p, int64_t o, int64_t outputs, int64_t count, float* sums,
                            int64_t xi_step, int64_t ld, bool add) {
    product<NV>({z + xi * z_plane + o, 1, out, v + xi * v_plane + p / each * j.in + p % each * width, in,
                 sums + xi * xi_step, ld, count, add, few},
                outputs);
  };
  if (few) {  // a thread takes so many outputs and a panel of channels
    const int64_t some = std::min<int64_t>(winograd_sums * largest_rows, j.out), plane = plane_stride(some * width);
    const Scratch own = Scratch::per_thread(X * plane);
#pragma omp parallel
    {
#pragma omp for schedule(static)
      for (int64_t t = 0; t < block; ++t) transform(t, t);
#pragma omp for schedule(dynamic) collapse(2)
      for (int64_t p = 0; p < panels; ++p) {
        for (int64_t first = 0; first < j.out; first += some) {
          float* const du = own.mine();
          const int64_t outputs = std::min(some, j.out - first);
          for (int64_t xi = 0; xi < X; ++xi) products(xi, p, first, outputs, block, du, plane, width, false);
          for (int64_t o = 0; o < outputs; ++o)
            transform_sums<T, R, NV>(j, du + o * width, plane, first + o, p / each, p % each * width);
        }
      }
    }
    return;
  }
  const int64_t ld = row_stride(panels * width), plane = plane_stride(j.out * ld);
  const Scratch sums(X * plane);
  float* const du = sums.data();
#pragma omp parallel
  {
    for (int64_t first = 0; first < grid.count; first += block) {
      const int64_t count = std::min(block, grid.count - first);
#pragma omp for schedule(static)
      for (int64_t t = 0; t < count; ++t) transform(first + t, t);
#pragma omp for schedule(static) collapse(2)
      for (int64_t xi = 0; xi < X; ++xi)
        for (int64_t p = 0; p < panels; ++p) products(xi, p, 0, j.out, count, du + p * width, plane, ld, first > 0);
    }
#pragma omp for schedule(static) collapse(2)
    for (int64_t o = 0; o < j.out; ++o)
      for (int64_t p = 0; p < panels; ++p)
        transform_sums<T, R, NV>(j, du + o * ld + p * width, plane, o, p / each, p % each * width);
  }
}

// Calls f with T and R as constants.
template <class F>
void with_form(WinogradForm form, F f) {
  if (form.taps == 2) return form.points == 4 ? f.template operator()<4, 2>() : f.template operator()<6, 2>();
  if (form.taps == 3) return form.points == 4 ? f.template operator()<4, 3>() : f.template operator()<6, 3>();
  f.template operator()<6, 4>();
}
void Filters(WinogradForm form, const WinogradJob& j, float* to) {
  with_form(form, [&]<int T, int R>() { transform_weights<T, R>(j, to); });
}
void Winograd(WinogradForm form, const WinogradJob& j) {
  with_form(form, [&]<int T, int R>() { j.out <= lanes() ? forward<T, R, 1>(j) : forward<T, R, 2>(j); });
}
void WinogradWeight(WinogradForm form, const WinogradWeightJob& j) {
  with_form(form, [&]<int T, int R>() { j.in <= lanes() ? weight_gradient<T, R, 1>(j) : weight_gradient<T, R, 2>(j); });
}

}  // namespace querent::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace querent::cpu {
HWY_EXPORT(Filters);
HWY_EXPORT(Winograd);
HWY_EXPORT(WinogradWeight);
void transform_filters(WinogradForm form, const WinogradJob& job, float* to) {
  HWY_DYNAMIC_DISPATCH(Filters)(form, job, to);
}
void run_winograd(WinogradForm form, const WinogradJob& job) { HWY_DYNAMIC_DISPATCH(Winograd)(form, job); }
void run_winograd_weight(WinogradForm form, const WinogradWeightJob& job) {
  HWY_DYNAMIC_DISPATCH(WinogradWeight)(form, job);
}
}  // namespace querent::cpu
#endif
