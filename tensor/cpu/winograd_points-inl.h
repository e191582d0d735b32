// One-dimensional transforms of Winograd's filtering with T points: M outputs of a filter of R taps, M + R = T + 1.
// Points 0, 1, -1, infinity for T = 4, and 2, -2 besides for T = 6. Vectors run over channels; M and R share the
// transform of the inputs. Included once per SIMD target.
#if defined(QUERENT_TENSOR_CPU_WINOGRAD_POINTS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERENT_TENSOR_CPU_WINOGRAD_POINTS_INL_H
#undef QUERENT_TENSOR_CPU_WINOGRAD_POINTS_INL_H
#else
#define QUERENT_TENSOR_CPU_WINOGRAD_POINTS_INL_H
#endif

#include "tensor/cpu/product-inl.h"

HWY_BEFORE_NAMESPACE();
namespace querent::cpu::HWY_NAMESPACE {

inline V set(float v) { return hn::Set(D(), v); }

template <int T>
struct Points;

template <>
struct Points<4> {
  static constexpr float value[3] = {0, 1, -1}, scale[3] = {1, 0.5f, 0.5f};  // of the finite points; of their rows of G
  HWY_INLINE static void input(const V* d, V* o) {                           // B' d
    o[0] = hn::Sub(d[0], d[2]);
    o[1] = hn::Add(d[1], d[2]);
    o[2] = hn::Sub(d[2], d[1]);
    o[3] = hn::Sub(d[3], d[1]);
  }
  template <int R>
  HWY_INLINE static void weights(const V* g, V* o) {  // G g
    const V half = set(0.5f), a = hn::Mul(half, R > 2 ? hn::Add(g[0], g[R > 2 ? 2 : 0]) : g[0]),
            b = hn::Mul(half, g[1]);
    o[0] = g[0];
    o[1] = hn::Add(a, b);
    o[2] = hn::Sub(a, b);
    o[3] = g[R - 1];
  }
  template <int M>
  HWY_INLINE static void output(const V* m, V* o) {  // A' m
    const V sum = hn::Add(m[1], m[2]), difference = hn::Sub(m[1], m[2]);
    for (int i = 0; i < M; ++i) o[i] = i % 2 ? difference : sum;
    o[0] = hn::Add(m[0], o[0]);
    o[M - 1] = hn::Add(o[M - 1], m[3]);
  }
  template <int M>
  HWY_INLINE static void spread(const V* y, V* o) {  // A y
    const V even = M > 2 ? hn::Add(y[0], y[M > 2 ? 2 : 0]) : y[0];
    o[0] = y[0];
    o[1] = hn::Add(even, y[1]);
    o[2] = hn::Sub(even, y[1]);
    o[3] = y[M - 1];
  }
};

template <>
struct Points<6> {
  static constexpr float value[5] = {0, 1, -1, 2, -2}, scale[5] = {1.f / 4, -1.f / 6, -1.f / 6, 1.f / 24, 1.f / 24};
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
  template <int R>
  HWY_INLINE static void weights(const V* g, V* o) {
    const auto at = [&](int k) HWY_ATTR { return g[k < R ? k : 0]; };
    V even = g[0], odd = g[1], c = hn::Mul(set(1.f / 24), g[0]), d = hn::Mul(set(1.f / 12), g[1]);
    if (R > 2) even = hn::Add(even, at(2)), c = hn::MulAdd(set(1.f / 6), at(2), c);
    if (R > 3) odd = hn::Add(odd, at(3)), d = hn::MulAdd(set(1.f / 3), at(3), d);
    const V a = hn::Mul(set(-1.f / 6), even), b = hn::Mul(set(1.f / 6), odd);
    o[0] = hn::Mul(set(1.f / 4), g[0]);
    o[1] = hn::Sub(a, b);
    o[2] = hn::Add(a, b);
    o[3] = hn::Add(c, d);
    o[4] = hn::Sub(c, d);
    o[5] = g[R - 1];
  }
  template <int M>
  HWY_INLINE static void output(const V* m, V* o) {
    const V a = hn::Add(m[1], m[2]), b = hn::Sub(m[1], m[2]), c = hn::Add(m[3], m[4]), d = hn::Sub(m[3], m[4]);
    o[0] = hn::Add(hn::Add(m[0], a), c);
    for (int i = 1; i < M; ++i)
      o[i] =
          i % 2 ? hn::MulAdd(set(static_cast<float>(1 << i)), d, b) : hn::MulAdd(set(static_cast<float>(1 << i)), c, a);
    o[M - 1] = hn::Add(o[M - 1], m[5]);
  }
  template <int M>
  HWY_INLINE static void spread(const V* y, V* o) {
    const auto at = [&](int k) HWY_ATTR { return y[k < M ? k : 0]; };
    V even = hn::Add(y[0], y[2]), odd = y[1], c = hn::MulAdd(set(4), y[2], y[0]), d = hn::Mul(set(2), y[1]);
    if (M > 3) odd = hn::Add(odd, at(3)), d = hn::MulAdd(set(8), at(3), d);
    if (M > 4) even = hn::Add(even, at(4)), c = hn::MulAdd(set(16), at(4), c);
    o[0] = y[0];
    o[1] = hn::Add(even, odd);
    o[2] = hn::Sub(even, odd);
    o[3] = hn::Add(c, d);
    o[4] = hn::Sub(c, d);
    o[5] = y[M - 1];
  }
};

// G itself: what a tap counts at a point; the last point is infinity.
template <int T, int R>
constexpr std::array<std::array<float, R>, T> shares() {
  std::array<std::array<float, R>, T> g{};
  for (size_t point = 0; point + 1 < T; ++point) {
    float power = Points<T>::scale[point];
    for (size_t tap = 0; tap < R; ++tap, power *= Points<T>::value[point]) g[point][tap] = power;
  }
  g[T - 1][R - 1] = 1;
  return g;
}

}  // namespace querent::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
