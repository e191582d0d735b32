#include "layers/init.h"

#include <cmath>
#include <utility>

#include "tensor/rng.h"

namespace querent {
namespace {

thread_local bool draws = true;

// Four numbers of block b of the stream `key`.
PhiloxCounter block_of(uint64_t key, int64_t b) {
  return philox({static_cast<uint32_t>(b), static_cast<uint32_t>(static_cast<uint64_t>(b) >> 32), 0x1217u, 0},
                {static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)});
}

template <class T>
void fill_uniform(T* out, int64_t n, double half_width, uint64_t key) {
#pragma omp parallel for schedule(static)
  for (int64_t b = 0; b < (n + 3) / 4; ++b) {
    const PhiloxCounter bits = block_of(key, b);
    for (int64_t i = 4 * b; i < std::min(n, 4 * b + 4); ++i) {
      out[i] = static_cast<T>(half_width * (2.0 * (bits[static_cast<size_t>(i % 4)] * 0x1p-32) - 1.0));
    }
  }
}

// Box-Muller on pairs; u in (0,1] so that its logarithm is finite.
template <class T>
void fill_normal(T* out, int64_t n, double deviation, uint64_t key) {
#pragma omp parallel for schedule(static)
  for (int64_t b = 0; b < (n + 3) / 4; ++b) {
    const PhiloxCounter bits = block_of(key, b);
    double z[4];
    for (size_t pair = 0; pair < 4; pair += 2) {
      const double radius = std::sqrt(-2.0 * std::log((bits[pair] + 1.0) * 0x1p-32));
      const double angle = 6.283185307179586476925 * (bits[pair + 1] * 0x1p-32);
      z[pair] = radius * std::cos(angle), z[pair + 1] = radius * std::sin(angle);
    }
    for (int64_t i = 4 * b; i < std::min(n, 4 * b + 4); ++i) {
      out[i] = static_cast<T>(deviation * z[static_cast<size_t>(i % 4)]);
    }
  }
}

template <class T>
void fill(const Tensor& t, const Init& init, int64_t channels, uint64_t key) {
  const int64_t n = t.numel();
  if (n == 0) return;
  const double fan_in = static_cast<double>(n / t.dim(0)), fan_out = static_cast<double>(n / channels);
  const double fan = init.fan_out ? fan_out : fan_in;
  T* out = t.data<T>();
  switch (init.kind) {
    case Init::constant:
      return t.fill(init.value);
    case Init::normal:
      return fill_normal(out, n, init.value, key);
    case Init::uniform:
      return fill_uniform(out, n, init.value, key);
    case Init::kaiming_normal:
      return fill_normal(out, n, init.value / std::sqrt(fan), key);
    case Init::kaiming_uniform:
      return fill_uniform(out, n, init.value * std::sqrt(3.0 / fan), key);
    case Init::xavier_normal:
      return fill_normal(out, n, std::sqrt(2.0 / (fan_in + fan_out)), key);
    case Init::xavier_uniform:
      return fill_uniform(out, n, std::sqrt(6.0 / (fan_in + fan_out)), key);
  }
}

}  // namespace

NoDraws::NoDraws() : before_(std::exchange(draws, false)) {}
NoDraws::~NoDraws() { draws = before_; }
bool NoDraws::active() { return !draws; }

void initialise(const Tensor& t, const Init& init, int64_t channels, uint64_t key) {
  if (!t.has_data()) return;  // a dry run
  if (init.kind == Init::constant) return t.fill(init.value);
  if (t.device() != Device::cpu()) {
    const Tensor here = Tensor::empty(t.shape(), t.dtype());
    initialise(here, init, channels, key);
    return t.copy_from(here);
  }
  t.dtype() == DType::f64 ? fill<double>(t, init, channels, key) : fill<float>(t, init, channels, key);
}

}  // namespace querent
