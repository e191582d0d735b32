// Winograd's minimal filtering (Lavin and Gray 2016): a tile of m x m outputs needs T = m+2 inputs a side and T*T products
// for each pair of channels, where the direct sum needs 9 m*m: 4 times fewer for m = 4, 2.25 times fewer for m = 2.
//
//   y = A' [ (G g G') .* (B' d B) ] A          d: T x T inputs, g: 3 x 3 weights, y: m x m outputs, .*: per element
//
// Summed over channels, each of the T*T elements is a matrix product [tiles, in] x [in, out]. Tiles are taken in blocks
// whose transformed inputs V and products M stay in the second-level cache; one thread does a block from end to end.
// The weight gradient is dg = G' [ sum over tiles (A dy A') .* (B' d B) ] G: blocks of tiles one after the other, threads
// sharing the T*T products of a block, so that every sum has one order whatever the number of threads.
// The price: rounding errors about 10 times those of the direct sum for m = 4 (still some 1e-6 of the largest output).
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/cpu/winograd.cpp"
#include <algorithm>
#include <array>
#include <utility>

#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>
#include "tensor/cpu/conv_plan.h"
#include "tensor/cpu/epilogue-inl.h"
#include "tensor/cpu/winograd.h"

HWY_BEFORE_NAMESPACE();
namespace querent::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr bool wide = HWY_TARGET == HWY_AVX3;  // 32 registers instead of 16
constexpr int largest_rows = wide ? 14 : 6;

int64_t lanes() { return static_cast<int64_t>(hn::Lanes(D())); }
int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }
V set(float v) { return hn::Set(D(), v); }
V load_some(const float* from, int64_t count) {
  return count >= lanes() ? hn::LoadU(D(), from) : hn::MaskedLoad(hn::FirstN(D(), static_cast<size_t>(count)), D(), from);
}
void store_some(V v, float* to, int64_t count) {
  if (count >= lanes())
    hn::StoreU(v, D(), to);
  else
    hn::BlendedStore(v, hn::FirstN(D(), static_cast<size_t>(count)), D(), to);
}

// One-dimensional transforms for the points 0, 1, -1 (and 2, -2), infinity.
template <int M>
struct Points;
template <>
struct Points<2> {
  static constexpr float G[4][3] = {{1, 0, 0}, {0.5f, 0.5f, 0.5f}, {0.5f, -0.5f, 0.5f}, {0, 0, 1}};
  HWY_INLINE static void weights(const V* g, V* o) {  // G g
    const V half = set(0.5f), a = hn::Mul(half, hn::Add(g[0], g[2])), b = hn::Mul(half, g[1]);
    o[0] = g[0];
    o[1] = hn::Add(a, b);
    o[2] = hn::Sub(a, b);
    o[3] = g[2];
  }
  HWY_INLINE static void input(const V* d, V* o) {  // B' d
    o[0] = hn::Sub(d[0], d[2]);
    o[1] = hn::Add(d[1], d[2]);
    o[2] = hn::Sub(d[2], d[1]);
    o[3] = hn::Sub(d[3], d[1]);
  }
  HWY_INLINE static void output(const V* m, V* o) {  // A' m
    o[0] = hn::Add(hn::Add(m[0], m[1]), m[2]);
    o[1] = hn::Add(hn::Sub(m[1], m[2]), m[3]);
  }
  HWY_INLINE static void spread(const V* y, V* o) {  // A y
    o[0] = y[0];
    o[1] = hn::Add(y[0], y[1]);
    o[2] = hn::Sub(y[0], y[1]);
    o[3] = y[1];
  }
};
template <>
struct Points<4> {
  static constexpr float G[6][3] = {{1.f / 4, 0, 0},
                                    {-1.f / 6, -1.f / 6, -1.f / 6},
                                    {-1.f / 6, 1.f / 6, -1.f / 6},
                                    {1.f / 24, 1.f / 12, 1.f / 6},
                                    {1.f / 24, -1.f / 12, 1.f / 6},
                                    {0, 0, 1}};
  HWY_INLINE static void weights(const V* g, V* o) {
    const V a = hn::Mul(set(-1.f / 6), hn::Add(g[0], g[2])), b = hn::Mul(set(1.f / 6), g[1]);
    const V c = hn::MulAdd(set(1.f / 6), g[2], hn::Mul(set(1.f / 24), g[0])), d = hn::Mul(set(1.f / 12), g[1]);
    o[0] = hn::Mul(set(1.f / 4), g[0]);
    o[1] = hn::Sub(a, b);
    o[2] = hn::Add(a, b);
    o[3] = hn::Add(c, d);
    o[4] = hn::Sub(c, d);
    o[5] = g[2];
  }
  HWY_INLINE static void input(const V* d, V* o) {
    const V two = set(2), four = set(4), five = set(5);
    o[0] = hn::MulAdd(four, d[0], hn::NegMulAdd(five, d[2], d[4]));
    const V a = hn::NegMulAdd(four, d[2], d[4]), b = hn::NegMulAdd(four, d[1], d[3]);
    o[1] = hn::Add(a, b);
    o[2] = hn::Sub(a, b);
    const V e = hn::Sub(d[4], d[2]), f = hn::Mul(two, hn::Sub(d[3], d[1]));
    o[3] = hn::Add(e, f);
    o[4] = hn::Sub(e, f);
    o[5] = hn::MulAdd(four, d[1], hn::NegMulAdd(five, d[3], d[5]));
  }
  HWY_INLINE static void output(const V* m, V* o) {
    const V a = hn::Add(m[1], m[2]), b = hn::Sub(m[1], m[2]), c = hn::Add(m[3], m[4]), d = hn::Sub(m[3], m[4]);
    o[0] = hn::Add(hn::Add(m[0], a), c);
    o[1] = hn::MulAdd(set(2), d, b);
    o[2] = hn::MulAdd(set(4), c, a);
    o[3] = hn::Add(hn::MulAdd(set(8), d, b), m[5]);
  }
  HWY_INLINE static void spread(const V* y, V* o) {
    o[0] = y[0];
    const V a = hn::Add(y[0], y[2]), b = hn::Add(y[1], y[3]);
    o[1] = hn::Add(a, b);
    o[2] = hn::Sub(a, b);
    const V c = hn::MulAdd(set(4), y[2], y[0]), d = hn::MulAdd(set(8), y[3], hn::Mul(set(2), y[1]));
    o[3] = hn::Add(c, d);
    o[4] = hn::Sub(c, d);
    o[5] = y[3];
  }
};

// c[r*ldc + 0 .. NV vectors] (+)= sum over k < depth of a[r*ra + k*ka] b[k*ldb + ...] for MR rows.
struct Product {
  const float* a;
  int64_t ra, ka;
  const float* b;
  int64_t ldb;
  float* c;
  int64_t ldc, depth;
  bool add;
};
template <int MR, int NV>
void product_rows(const Product& p) {
  const D d;
  V acc[MR][NV];
  for (int r = 0; r < MR; ++r)
    for (int v = 0; v < NV; ++v) acc[r][v] = p.add ? hn::LoadU(d, p.c + r * p.ldc + v * lanes()) : hn::Zero(d);
  const float* HWY_RESTRICT a = p.a;
  const float* HWY_RESTRICT b = p.b;
  for (int64_t k = 0; k < p.depth; ++k, a += p.ka, b += p.ldb) {
    V w[NV];
    for (int v = 0; v < NV; ++v) w[v] = hn::LoadU(d, b + v * lanes());
    for (int r = 0; r < MR; ++r) {
      const V x = hn::Set(d, a[r * p.ra]);
      for (int v = 0; v < NV; ++v) acc[r][v] = hn::MulAdd(x, w[v], acc[r][v]);
    }
  }
  for (int r = 0; r < MR; ++r)
    for (int v = 0; v < NV; ++v) hn::StoreU(acc[r][v], d, p.c + r * p.ldc + v * lanes());
}
template <int NV, int... R>
constexpr auto product_table(std::integer_sequence<int, R...>) {
  return std::array<void (*)(const Product&), sizeof...(R)>{product_rows<R + 1, NV>...};
}
// Any number of rows, in nearly equal parts of at most largest_rows.
template <int NV>
void product(Product p, int64_t rows) {
  static constexpr auto table = product_table<NV>(std::make_integer_sequence<int, largest_rows>());
  const int64_t parts = (rows + largest_rows - 1) / largest_rows;
  for (int64_t i = 0; i < parts; ++i) {
    const int64_t now = (rows * (i + 1)) / parts - (rows * i) / parts;
    table[static_cast<size_t>(now - 1)](p);
    p.a += now * p.ra;
    p.c += now * p.ldc;
  }
}

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

// Transforms the T x T inputs at (row - pad, col - pad) into to[xi*xi_step + c]; channels up to `padded` are zeroed.
template <int M>
void transform_input(const float* image, int64_t h, int64_t w, int64_t channels, int64_t row, int64_t col, float* to,
                     int64_t xi_step, int64_t padded) {
  constexpr int T = M + 2;
  const auto run = [&](auto load) HWY_ATTR {
    for (int64_t c = 0; c < padded; c += lanes()) {
      V half[T][T];
      for (int i = 0; i < T; ++i) {
        V d[T];
        for (int j = 0; j < T; ++j) d[j] = load(row + i, col + j, c);
        Points<M>::input(d, half[i]);
      }
      for (int j = 0; j < T; ++j) {
        V d[T], o[T];
        for (int i = 0; i < T; ++i) d[i] = half[i][j];
        Points<M>::input(d, o);
        for (int i = 0; i < T; ++i) hn::StoreU(o[i], D(), to + (i * T + j) * xi_step + c);
      }
    }
  };
  if (row >= 0 && col >= 0 && row + T <= h && col + T <= w && channels == padded) {
    run([&](int64_t y, int64_t x, int64_t c) HWY_ATTR { return hn::LoadU(D(), image + (y * w + x) * channels + c); });
  } else {
    run([&](int64_t y, int64_t x, int64_t c) HWY_ATTR {
      const bool there = c < channels && y >= 0 && y < h && x >= 0 && x < w;
      return there ? load_some(image + (y * w + x) * channels + c, channels - c) : hn::Zero(D());
    });
  }
}

// Transforms the M x M gradients at (row, col) into to[xi*xi_step + o].
template <int M>
void transform_gradient(const float* image, int64_t rows, int64_t cols, int64_t channels, int64_t row, int64_t col,
                        float* to, int64_t xi_step, int64_t padded) {
  constexpr int T = M + 2;
  for (int64_t c = 0; c < padded; c += lanes()) {
    const int64_t left = channels - c;
    V half[M][T];
    for (int i = 0; i < M; ++i) {
      V d[M];
      for (int j = 0; j < M; ++j) {
        const bool there = left > 0 && row + i < rows && col + j < cols;
        d[j] = there ? load_some(image + ((row + i) * cols + col + j) * channels + c, left) : hn::Zero(D());
      }
      Points<M>::spread(d, half[i]);
    }
    for (int j = 0; j < T; ++j) {
      V d[M], o[T];
      for (int i = 0; i < M; ++i) d[i] = half[i][j];
      Points<M>::spread(d, o);
      for (int i = 0; i < T; ++i) hn::StoreU(o[i], D(), to + (i * T + j) * xi_step + c);
    }
  }
}

// Transforms products from[xi*xi_step + o] into the M x M outputs at (row, col): adds the bias, does what follows.
template <int M>
void transform_output(const float* from, int64_t xi_step, const WinogradJob& j, float* image, int64_t row, int64_t col) {
  constexpr int T = M + 2;
  for (int64_t c = 0; c < j.out; c += lanes()) {
    const int64_t left = j.out - c;
    V half[M][T];
    for (int x = 0; x < T; ++x) {
      V d[T], o[M];
      for (int i = 0; i < T; ++i) d[i] = hn::LoadU(D(), from + (i * T + x) * xi_step + c);
      Points<M>::output(d, o);
      for (int i = 0; i < M; ++i) half[i][x] = o[i];
    }
    const V bias = j.bias ? load_some(j.bias + c, left) : hn::Zero(D());
    const Finish finish(j.epilogue, c, left);
    for (int i = 0; i < M && row + i < j.rows; ++i) {
      V o[M];
      Points<M>::output(half[i], o);
      for (int x = 0; x < M && col + x < j.cols; ++x)
        store_some(finish(hn::Add(o[x], bias)), image + ((row + i) * j.cols + col + x) * j.out + c, left);
    }
  }
}

// to[c*lanes + o] = the weight of one tap from input c < `in` to output o < `out`; nothing is written for other o. Where
// inputs are neighbours in memory, squares of 4 x 4 are turned in registers.
void gather_taps(const WinogradJob& j, const float* from, int64_t in, int64_t out, float* to) {
  if (j.w_out == 1) {
    for (int64_t c = 0; c < in; ++c) store_some(load_some(from + c * j.w_in, out), to + c * lanes(), out);
    return;
  }
  int64_t c = 0;
#if HWY_TARGET != HWY_SCALAR
  if (j.w_in == 1 && out % 4 == 0) {
    const hn::FixedTag<float, 4> d;
    const hn::Repartition<double, decltype(d)> pairs;
    for (; c + 4 <= in; c += 4) {
      for (int64_t o = 0; o < out; o += 4) {
        const float* corner = from + o * j.w_out + c;
        const auto r0 = hn::LoadU(d, corner), r1 = hn::LoadU(d, corner + j.w_out), r2 = hn::LoadU(d, corner + 2 * j.w_out),
                   r3 = hn::LoadU(d, corner + 3 * j.w_out);
        const auto a = hn::BitCast(pairs, hn::InterleaveLower(d, r0, r1)), b = hn::BitCast(pairs, hn::InterleaveLower(d, r2, r3)),
                   e = hn::BitCast(pairs, hn::InterleaveUpper(d, r0, r1)), f = hn::BitCast(pairs, hn::InterleaveUpper(d, r2, r3));
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
    for (int64_t o = 0; o < out; ++o) to[c * lanes() + o] = from[o * j.w_out + c * j.w_in];
}

// G g G' of all pairs of channels as to[xi][panel of outputs][in][filter_panel], zero beyond the last output.
template <int M>
void transform_weights(const WinogradJob& j, float* to) {
  constexpr int T = M + 2;
  constexpr int64_t width = filter_panel;
  const int64_t panels = (j.out + width - 1) / width;
  constexpr int64_t some = 16;  // input channels at a time
#pragma omp parallel for collapse(2) schedule(static)
  for (int64_t p = 0; p < panels; ++p) {
    for (int64_t c0 = 0; c0 < j.in; c0 += some) {
      for (int64_t o = 0; o < width; o += lanes()) {
        const int64_t in = std::min(some, j.in - c0), out = std::clamp<int64_t>(j.out - p * width - o, 0, lanes());
        HWY_ALIGN float taps[9 * some * hn::MaxLanes(D())];
        if (out < lanes()) std::fill_n(taps, 9 * some * lanes(), 0.0f);
        for (int t = 0; t < 9; ++t)
          gather_taps(j, j.weights + (p * width + o) * j.w_out + c0 * j.w_in + t * j.w_tap, in, out, taps + t * some * lanes());
        for (int64_t c = 0; c < in; ++c) {
          V half[3][T];  // [column][row]
          for (int x = 0; x < 3; ++x) {
            V g[3];
            for (int i = 0; i < 3; ++i) g[i] = hn::Load(D(), taps + ((3 * i + x) * some + c) * lanes());
            Points<M>::weights(g, half[x]);
          }
          for (int i = 0; i < T; ++i) {
            const V g[3] = {half[0][i], half[1][i], half[2][i]};
            V u[T];
            Points<M>::weights(g, u);
            for (int x = 0; x < T; ++x)
              hn::StoreU(u[x], D(), to + (((i * T + x) * panels + p) * j.in + c0 + c) * width + o);
          }
        }
      }
    }
  }
}

template <int M, int NV>
void forward(const WinogradJob& j) {
  constexpr int T = M + 2, X = T * T;
  const int64_t width = NV * lanes(), panels = (j.out + width - 1) / width, out = panels * width;
  const int64_t in = round_up(j.in, lanes());
  const Grid grid(j.n, j.rows, j.cols, M);
  // Tiles of a block: their V and M take about a megabyte, and rows come in full register tiles.
  const int64_t fit = (int64_t{1} << 20) / (X * (in + out) * 4) / largest_rows;
  const int64_t block = std::clamp<int64_t>(fit, 2, 16) * largest_rows;
  const int64_t blocks = (grid.count + block - 1) / block;
  const int64_t filter_panels = (j.out + filter_panel - 1) / filter_panel;
  const Tensor weights = j.filters ? Tensor{} : scratch(X * filter_panels * j.in * filter_panel);
  if (weights) transform_weights<M>(j, weights.data<float>());
  const float* const u = j.filters ? j.filters : weights.data<float>();
  const auto filters_of = [&](int64_t xi, int64_t p) {  // `width` divides a panel of filters
    return u + (xi * filter_panels + p * width / filter_panel) * j.in * filter_panel + p * width % filter_panel;
  };
#pragma omp parallel
  {
    const Tensor memory = scratch(X * block * (in + out));
    float *const v = memory.data<float>(), *const m = v + X * block * in;
#pragma omp for schedule(dynamic)
    for (int64_t b = 0; b < blocks; ++b) {
      const int64_t first = b * block, count = std::min(block, grid.count - first);
      for (int64_t t = 0; t < count; ++t) {
        const Grid::Place at = grid.place(first + t, M);
        transform_input<M>(j.x + at.n * j.h * j.w * j.in, j.h, j.w, j.in, at.row - j.pad_h, at.col - j.pad_w,
                           v + t * in, block * in, in);
      }
      for (int64_t xi = 0; xi < X; ++xi)
        for (int64_t p = 0; p < panels; ++p)
          product<NV>({v + xi * block * in, in, 1, filters_of(xi, p), filter_panel,
                       m + xi * block * out + p * width, out, j.in, false},
                      count);
      for (int64_t t = 0; t < count; ++t) {
        const Grid::Place at = grid.place(first + t, M);
        transform_output<M>(m + t * out, block * out, j, j.y + at.n * j.rows * j.cols * j.out, at.row, at.col);
      }
    }
  }
}

template <int M, int NV>
void weight_gradient(const WinogradWeightJob& j) {
  constexpr int T = M + 2, X = T * T;
  const auto& G = Points<M>::G;
  const int64_t width = NV * lanes(), panels = (j.in + width - 1) / width, in = panels * width;
  const int64_t out = round_up(j.out, lanes());
  const Grid grid(j.n, j.rows, j.cols, M);
  const int64_t block = std::clamp<int64_t>((int64_t{4} << 20) / (X * (in + out) * 4), 16, 1024);
  const Tensor memory = scratch(X * block * (in + out)), sums = scratch(X * j.out * in);
  float *const v = memory.data<float>(), *const z = v + X * block * in, *const du = sums.data<float>();
#pragma omp parallel
  {
    for (int64_t first = 0; first < grid.count; first += block) {
      const int64_t count = std::min(block, grid.count - first);
#pragma omp for schedule(static)
      for (int64_t t = 0; t < count; ++t) {
        const Grid::Place at = grid.place(first + t, M);
        transform_input<M>(j.x + at.n * j.h * j.w * j.in, j.h, j.w, j.in, at.row - j.pad_h, at.col - j.pad_w,
                           v + t * in, block * in, in);
        transform_gradient<M>(j.dy + at.n * j.rows * j.cols * j.out, j.rows, j.cols, j.out, at.row, at.col, z + t * out,
                              block * out, out);
      }
#pragma omp for schedule(static) collapse(2)
      for (int64_t xi = 0; xi < X; ++xi)
        for (int64_t p = 0; p < panels; ++p)
          product<NV>({z + xi * block * out, 1, out, v + xi * block * in + p * width, in, du + xi * j.out * in + p * width,
                       in, count, first > 0},
                      j.out);
    }
#pragma omp for schedule(static)
    for (int64_t o = 0; o < j.out; ++o) {  // dg = G' du G
      for (int64_t c = 0; c < j.in; c += lanes()) {
        V half[3][T];
        for (int x = 0; x < T; ++x) {
          V column[3] = {hn::Zero(D()), hn::Zero(D()), hn::Zero(D())};
          for (int i = 0; i < T; ++i) {
            const V value = hn::LoadU(D(), du + ((i * T + x) * j.out + o) * in + c);
            for (int k = 0; k < 3; ++k) column[k] = hn::MulAdd(set(G[i][k]), value, column[k]);
          }
          for (int k = 0; k < 3; ++k) half[k][x] = column[k];
        }
        for (int k = 0; k < 3; ++k)
          for (int l = 0; l < 3; ++l) {
            V sum = hn::Zero(D());
            for (int x = 0; x < T; ++x) sum = hn::MulAdd(set(G[x][l]), half[k][x], sum);
            store_some(sum, j.dw + ((o * 3 + k) * 3 + l) * j.in + c, j.in - c);
          }
      }
    }
  }
}

void Filters2(const WinogradJob& j, float* to) { transform_weights<2>(j, to); }
void Filters4(const WinogradJob& j, float* to) { transform_weights<4>(j, to); }
void Winograd2(const WinogradJob& j) { j.out <= lanes() ? forward<2, 1>(j) : forward<2, 2>(j); }
void Winograd4(const WinogradJob& j) { j.out <= lanes() ? forward<4, 1>(j) : forward<4, 2>(j); }
void WinogradWeight2(const WinogradWeightJob& j) { j.in <= lanes() ? weight_gradient<2, 1>(j) : weight_gradient<2, 2>(j); }
void WinogradWeight4(const WinogradWeightJob& j) { j.in <= lanes() ? weight_gradient<4, 1>(j) : weight_gradient<4, 2>(j); }

}  // namespace querent::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace querent::cpu {
HWY_EXPORT(Filters2);
HWY_EXPORT(Filters4);
HWY_EXPORT(Winograd2);
HWY_EXPORT(Winograd4);
HWY_EXPORT(WinogradWeight2);
HWY_EXPORT(WinogradWeight4);
void transform_filters(int m, const WinogradJob& job, float* to) {
  if (m == 2)
    HWY_DYNAMIC_DISPATCH(Filters2)(job, to);
  else
    HWY_DYNAMIC_DISPATCH(Filters4)(job, to);
}
void run_winograd(int m, const WinogradJob& job) {
  if (m == 2)
    HWY_DYNAMIC_DISPATCH(Winograd2)(job);
  else
    HWY_DYNAMIC_DISPATCH(Winograd4)(job);
}
void run_winograd_weight(int m, const WinogradWeightJob& job) {
  if (m == 2)
    HWY_DYNAMIC_DISPATCH(WinogradWeight2)(job);
  else
    HWY_DYNAMIC_DISPATCH(WinogradWeight4)(job);
}
}  // namespace querent::cpu
#endif
