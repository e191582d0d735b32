// The micro-kernel of a matrix product, for what multiplies blocks that lie in the cache: up to 14 rows x 2 vectors of
// columns stay in registers while the depth is summed; with 32 registers, about 28 multiply-adds for 16 loads. Included
// once per SIMD target.
#if defined(QUERENT_TENSOR_CPU_PRODUCT_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERENT_TENSOR_CPU_PRODUCT_INL_H
#undef QUERENT_TENSOR_CPU_PRODUCT_INL_H
#else
#define QUERENT_TENSOR_CPU_PRODUCT_INL_H
#endif

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include <hwy/cache_control.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace querent::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr bool wide = HWY_TARGET == HWY_AVX3;  // 32 registers instead of 16
constexpr int largest_rows = wide ? 14 : 6;

inline int64_t lanes() { return static_cast<int64_t>(hn::Lanes(D())); }
inline int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }
inline V load_some(const float* from, int64_t count) {
  return count >= lanes() ? hn::LoadU(D(), from)
                          : hn::MaskedLoad(hn::FirstN(D(), static_cast<size_t>(count)), D(), from);
}
inline void store_some(V v, float* to, int64_t count) {
  if (count >= lanes())
    hn::StoreU(v, D(), to);
  else
    hn::BlendedStore(v, hn::FirstN(D(), static_cast<size_t>(count)), D(), to);
}

// c[r*ldc + 0 .. NV vectors] (+)= sum over k < depth of a[r*ra + k*ka] b[k*ldb + ...] for MR rows.
struct Product {
  const float* a;
  int64_t ra, ka;
  const float* b;
  int64_t ldb;
  float* c;
  int64_t ldc, depth;
  bool add, far = false;  // far: a is not in the second-level cache
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
// Any number of rows, in nearly equal parts of at most largest_rows. If they are far, the next part is asked for before
// each: not in the loop over k, where that would keep the sums from staying in registers.
template <int NV>
void product(Product p, int64_t rows) {
  static constexpr auto table = product_table<NV>(std::make_integer_sequence<int, largest_rows>());
  const int64_t parts = (rows + largest_rows - 1) / largest_rows;
  for (int64_t i = 0; i < parts; ++i) {
    const int64_t now = (rows * (i + 1)) / parts - (rows * i) / parts;
    const float* const next = p.a + now * p.ra;
    if (p.far && p.ka == 1)
      for (int64_t r = 0; r < now; ++r)
        for (int64_t k = 0; k < p.depth; k += 16) hwy::Prefetch(next + r * p.ra + k);
    if (p.far && p.ra == 1)
      for (int64_t k = 0; k < p.depth; ++k) hwy::Prefetch(next + k * p.ka + now - 1);
    table[static_cast<size_t>(now - 1)](p);
    p.a += now * p.ra;
    p.c += now * p.ldc;
  }
}

}  // namespace querent::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
