// Dropout: Philox for a vector of blocks at a time, the same words as stream_block(); one block serves four neighbouring
// elements. Rows are cut into fixed pieces over threads. About 40 integer operations an element, twice a memory pass.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/cpu/dropout.cpp"
#include <algorithm>
#include <cmath>

#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>
#include "tensor/kernels.h"
#include "tensor/op_attrs.h"
#include "tensor/rng.h"

HWY_BEFORE_NAMESPACE();
namespace querent::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<uint32_t>;
using V = hn::Vec<D>;

// The words of blocks first .. first+lanes-1 of a stream, in the order of the elements: to[4*lanes].
#if HWY_TARGET == HWY_SCALAR
void stream_words(int64_t key, int64_t counter, int64_t site, int64_t first, uint32_t* to) {
  const PhiloxCounter block = stream_block(key, counter, site, first);
  std::copy(block.begin(), block.end(), to);
}
#else
struct Wide {
  V high, low;
};
// The two halves of a * b, lane by lane.
HWY_INLINE Wide product(V a, uint32_t b) {
  const D d;
  const hn::Repartition<uint64_t, D> d64;
  const V factor = hn::Set(d, b);
  const auto even = hn::MulEven(a, factor), odd = hn::MulEven(hn::BitCast(d, hn::ShiftRight<32>(hn::BitCast(d64, a))), factor);
  const auto low = hn::Set(d64, 0xFFFFFFFFu);
  return {hn::BitCast(d, hn::Or(hn::ShiftRight<32>(even), hn::AndNot(low, odd))),
          hn::BitCast(d, hn::Or(hn::And(even, low), hn::ShiftLeft<32>(odd)))};
}

HWY_INLINE void stream_words(int64_t key, int64_t counter, int64_t site, int64_t first, uint32_t* to) {
  const D d;
  const auto low = [](int64_t v) { return static_cast<uint32_t>(static_cast<uint64_t>(v)); };
  const auto high = [](int64_t v) { return static_cast<uint32_t>(static_cast<uint64_t>(v) >> 32); };
  V c0 = hn::Iota(d, low(first)), c1 = hn::Set(d, low(site)), c2 = hn::Set(d, low(counter)),
    c3 = hn::Set(d, high(counter) ^ high(site));
  uint32_t k0 = low(key), k1 = high(key);
  for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
    const Wide p0 = product(c0, 0xD2511F53u), p1 = product(c2, 0xCD9E8D57u);
    c0 = hn::Xor(hn::Xor(p1.high, c1), hn::Set(d, k0));
    c1 = p1.low;
    c2 = hn::Xor(hn::Xor(p0.high, c3), hn::Set(d, k1));
    c3 = p0.low;
  }
  hn::StoreInterleaved4(c0, c1, c2, c3, d, to);
}
#endif

void Dropout(const Call& c) {
  const auto& a = c.attrs.as<DropoutAttrs>();
  const int64_t rows = c.in[0].dim(0), each = rows ? c.in[0].numel() / rows : 0;
  const auto threshold = static_cast<uint64_t>(std::llround(a.p * 0x1p32));
  const double keep = 1 - a.p;
  const float* x = c.in[0].data<float>();
  float* y = c.out[0].data<float>();
  const int64_t* streams = c.in[1].data<int64_t>();
  const hn::ScalableTag<double> d64;
  const hn::Rebind<float, decltype(d64)> d32;
  const hn::Rebind<int64_t, decltype(d64)> i64;
  const hn::Rebind<uint64_t, decltype(d64)> u64;
  const hn::Rebind<uint32_t, decltype(d64)> u32;
  constexpr int64_t piece = 4096;
  const int64_t pieces = (each + piece - 1) / piece;
#pragma omp parallel for schedule(static) collapse(2) if (rows * each > piece)
  for (int64_t n = 0; n < rows; ++n) {
    for (int64_t p = 0; p < pieces; ++p) {
      const int64_t end = std::min((p + 1) * piece, each), step = 4 * static_cast<int64_t>(hn::Lanes(D()));
      HWY_ALIGN uint32_t words[4 * hn::MaxLanes(D())];
      for (int64_t e = p * piece; e < end; e += step) {
        stream_words(streams[2 * n], streams[2 * n + 1], a.site, e / 4, words);
        const float* from = x + n * each + e;
        float* to = y + n * each + e;
        const int64_t count = std::min(step, end - e), half = static_cast<int64_t>(hn::Lanes(d64));
        int64_t k = 0;
        for (; k + half <= count; k += half) {
          const auto word = hn::BitCast(i64, hn::PromoteTo(u64, hn::LoadU(u32, words + k)));
          const auto kept = hn::Gt(word, hn::Set(i64, static_cast<int64_t>(threshold) - 1));
          const auto scaled = hn::Div(hn::PromoteTo(d64, hn::LoadU(d32, from + k)), hn::Set(d64, keep));
          hn::StoreU(hn::DemoteTo(d32, hn::IfThenElseZero(hn::RebindMask(d64, kept), scaled)), d32, to + k);
        }
        for (; k < count; ++k)
          to[k] = words[k] >= threshold ? static_cast<float>(static_cast<double>(from[k]) / keep) : 0.0f;
      }
    }
  }
}

}  // namespace querent::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace querent::cpu {
HWY_EXPORT(Dropout);
void dropout(const Call& c) { HWY_DYNAMIC_DISPATCH(Dropout)(c); }
}  // namespace querent::cpu
#endif
