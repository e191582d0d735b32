// Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011).
//
// A block of four 32-bit words is a pure function of (counter, key), so any element of any random tensor can be
// computed by itself: the same bits on every backend, for every thread count, and after every resume.
#pragma once
#include <array>
#include <cmath>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace querent {

using PhiloxCounter = std::array<uint32_t, 4>;
using PhiloxKey = std::array<uint32_t, 2>;

// Ten rounds of Philox4x32.
constexpr PhiloxCounter philox(PhiloxCounter c, PhiloxKey k) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * c[0];
    const uint64_t p1 = uint64_t{0xCD9E8D57u} * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k[0], static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k[1], static_cast<uint32_t>(p0)};
    k = {k[0] + 0x9E3779B9u, k[1] + 0xBB67AE85u};
  }
  return c;
}

// Exact conversion of the top 24 bits to [0,1): the same float on every machine.
constexpr float unit_float(uint32_t bits) { return static_cast<float>(bits >> 8) * 0x1p-24f; }

// 64-bit FNV-1a: names to stream ids.
constexpr uint64_t hash_name(std::string_view s) {
  uint64_t h = 0xcbf29ce484222325ull;
  for (const char ch : s) h = (h ^ static_cast<unsigned char>(ch)) * 0x100000001b3ull;
  return h;
}
// A well-mixed 64-bit value from two (used to derive independent keys).
constexpr uint64_t mix_key(uint64_t a, uint64_t b) {
  const PhiloxCounter r = philox({static_cast<uint32_t>(a), static_cast<uint32_t>(a >> 32), 0x51u, 0},
                                 {static_cast<uint32_t>(b), static_cast<uint32_t>(b >> 32)});
  return (uint64_t{r[1]} << 32) | r[0];
}

// The random words of one layer for one row: block `block` of the row's stream (key, counter) at `site`, which names
// the layer. Philox key = key; Philox counter = {block, site low, counter low, counter high ^ site high}.
constexpr PhiloxCounter stream_block(int64_t key, int64_t counter, int64_t site, int64_t block) {
  const auto low = [](int64_t v) { return static_cast<uint32_t>(static_cast<uint64_t>(v)); };
  const auto high = [](int64_t v) { return static_cast<uint32_t>(static_cast<uint64_t>(v) >> 32); };
  return philox({low(block), low(site), low(counter), high(counter) ^ high(site)}, {low(key), high(key)});
}
// Standard normal number `element` of the same stream by Box-Muller: words (0,1) of block element/4 give elements 0 and
// 1 (cosine and sine), words (2,3) elements 2 and 3.
inline double stream_normal(int64_t key, int64_t counter, int64_t site, int64_t element) {
  const PhiloxCounter words = stream_block(key, counter, site, element / 4);
  const auto pair = static_cast<size_t>(element % 4 / 2) * 2;
  const double u = (words[pair] + 1.0) * 0x1p-32, angle = 6.283185307179586476925 * (words[pair + 1] * 0x1p-32);
  return std::sqrt(-2.0 * std::log(u)) * (element % 2 ? std::sin(angle) : std::cos(angle));
}

// A sequential reader of one Philox stream, for code that draws a few numbers in order (augmentation, shuffles, initial
// weights). Copying an Rng copies its position; its whole state is (key, position).
class Rng {
 public:
  explicit Rng(uint64_t seed = 0) : key_(seed) {}
  Rng(uint64_t key, uint64_t position) : key_(key), position_(position) {}

  Rng fork(uint64_t id) const { return Rng(mix_key(key_, id)); }  // independent stream; does not advance this one
  Rng fork(std::string_view name) const { return fork(hash_name(name)); }
  uint64_t key() const { return key_; }
  uint64_t position() const { return position_; }

  uint32_t next() {
    const uint64_t block = position_ / 4;
    const PhiloxCounter r = philox({static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), 0, 0},
                                   {static_cast<uint32_t>(key_), static_cast<uint32_t>(key_ >> 32)});
    return r[position_++ % 4];
  }
  double uniform() {  // [0,1), 53 bits
    const uint64_t hi = next(), lo = next();
    return static_cast<double>(((hi << 32) | lo) >> 11) * 0x1p-53;
  }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  double normal() {  // standard normal, Box-Muller
    const double u = 1.0 - uniform(), v = uniform();
    return std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586476925 * v);
  }
  int64_t below(int64_t n) { return static_cast<int64_t>(uniform() * static_cast<double>(n)); }  // {0..n-1}
  template <class T>
  void shuffle(std::vector<T>& items) {  // Fisher-Yates
    for (size_t i = items.size(); i > 1; --i)
      std::swap(items[i - 1], items[static_cast<size_t>(below(static_cast<int64_t>(i)))]);
  }

 private:
  uint64_t key_;
  uint64_t position_ = 0;
};

}  // namespace querent
