// sampled_cross_entropy for binary problems (C = 1), the loss of segmentation: chunks of positions over threads,
// vectors of positions inside. The noise is Philox and Box-Muller on vectors; nothing is stored from the loss to its gradient.
// With z[t] = f + e^(s/2) eps[t] and m[t] = z[t] or -z[t] by the label: q[t] = log sigmoid(m[t]), and the slope of q in
// z is -+expm1(q). More classes run the reference: they have one position per image.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/cpu/sampled_cross_entropy.cpp"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>

#include <algorithm>
#include <vector>

#include "tensor/kernels.h"
#include "tensor/op_attrs.h"
#include "tensor/ops/checks.h"
#include "tensor/rng.h"

#ifndef QUERENT_SAMPLED_CROSS_ENTROPY_ROWS
#define QUERENT_SAMPLED_CROSS_ENTROPY_ROWS
namespace querent {
extern const Op sampled_cross_entropy_op, sampled_cross_entropy_grad_op;
namespace cpu {
struct SampledJob {
  const float *logits, *log_var;
  const int64_t *labels, *streams;
  int64_t rows, positions, samples, site;
  float factor = 0;                // of the gradient: dloss / M
  float *df = nullptr, *ds = nullptr;
};
}  // namespace cpu
}  // namespace querent
#endif

HWY_BEFORE_NAMESPACE();
namespace querent::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr int64_t chunk = 1024;           // positions of one pass; a multiple of any vector
constexpr int64_t blocks = chunk / 4 + 1;  // Philox blocks that cover a chunk wherever it begins
constexpr int64_t padded_blocks = (blocks + 63) / 64 * 64;

struct Scratch {
  HWY_ALIGN uint32_t words[4][padded_blocks];
  HWY_ALIGN float normals[4 * padded_blocks];
  HWY_ALIGN float f[chunk], s[chunk], sign[chunk];  // sign: 1, -1, or 0 for a position that does not count
  std::vector<float> eps, q;                        // [T][chunk]
};

// words[.][b] = block first+b of the stream, for padded_blocks blocks. Plain loops over lanes: the compiler makes
// vectors of them.
void philox_blocks(int64_t key, int64_t counter, int64_t site, int64_t first, Scratch& w) {
  const auto low = [](int64_t v) { return static_cast<uint32_t>(static_cast<uint64_t>(v)); };
  const auto high = [](int64_t v) { return static_cast<uint32_t>(static_cast<uint64_t>(v) >> 32); };
  constexpr int64_t group = 64;
  for (int64_t g = 0; g < padded_blocks; g += group) {
    uint32_t *c0 = w.words[0] + g, *c1 = w.words[1] + g, *c2 = w.words[2] + g, *c3 = w.words[3] + g;
    for (int64_t i = 0; i < group; ++i) {
      c0[i] = low(first + g + i);
      c1[i] = low(site);
      c2[i] = low(counter);
      c3[i] = high(counter) ^ high(site);
    }
    uint32_t k0 = low(key), k1 = high(key);
    for (int round = 0; round < 10; ++round) {
      for (int64_t i = 0; i < group; ++i) {
        const uint64_t p0 = uint64_t{0xD2511F53u} * c0[i], p1 = uint64_t{0xCD9E8D57u} * c2[i];
        c0[i] = static_cast<uint32_t>(p1 >> 32) ^ c1[i] ^ k0;
        c1[i] = static_cast<uint32_t>(p1);
        c2[i] = static_cast<uint32_t>(p0 >> 32) ^ c3[i] ^ k1;
        c3[i] = static_cast<uint32_t>(p0);
      }
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
  }
}

// u = (word + 1) / 2^32 in (0,1]; -log u without cancellation at either end.
HWY_INLINE V minus_log(D d, hn::Vec<hn::RebindToSigned<D>> word) {
  const hn::RebindToSigned<D> di;
  const auto half = hn::Set(d, 0x1p-32f), two31 = hn::Set(d, 2147483648.0f);
  // Words are unsigned: bring them to signed range, convert, shift back.
  const auto shifted = hn::Xor(word, hn::Set(di, INT32_MIN));
  const V u = hn::Mul(hn::Add(hn::Add(hn::ConvertTo(d, shifted), two31), hn::Set(d, 1.0f)), half);
  const V rest = hn::Mul(hn::ConvertTo(d, hn::Not(word)), half);  // 1 - u, for words of 2^31 and more
  const auto upper = hn::RebindMask(d, hn::Lt(word, hn::Zero(di)));
  return hn::Neg(hn::IfThenElse(upper, hn::Log1p(d, hn::Neg(rest)), hn::Log(d, u)));
}

// normals[e] = standard normal number 4*first + e of the stream: Box-Muller, as stream_normal.
void draw(int64_t key, int64_t counter, int64_t site, int64_t first, Scratch& w) {
  const D d;
  const hn::RebindToSigned<D> di;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  philox_blocks(key, counter, site, first, w);
  for (int64_t b = 0; b < padded_blocks; b += lanes) {
    V out[4];
    for (int pair = 0; pair < 2; ++pair) {
      const auto a = hn::Load(di, reinterpret_cast<const int32_t*>(w.words[2 * pair] + b));
      const auto t = hn::Load(di, reinterpret_cast<const int32_t*>(w.words[2 * pair + 1] + b));
      const V radius = hn::Sqrt(hn::Mul(hn::Set(d, 2.0f), minus_log(d, a)));
      // A signed word is the same angle less a full turn.
      const V angle = hn::Mul(hn::ConvertTo(d, t), hn::Set(d, 6.2831853071795864769f * 0x1p-32f));
      out[2 * pair] = hn::Mul(radius, hn::Cos(d, angle));
      out[2 * pair + 1] = hn::Mul(radius, hn::Sin(d, angle));
    }
    hn::StoreInterleaved4(out[0], out[1], out[2], out[3], d, w.normals + 4 * b);
  }
}

// Fills f, s, sign, eps[t], q[t] for positions p .. p+count of row n.
void sample(const SampledJob& j, int64_t n, int64_t p, int64_t count, Scratch& w) {
  const D d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d)), at = n * j.positions + p;
  for (int64_t i = 0; i < chunk; ++i) {
    const bool inside = i < count;
    w.f[i] = inside ? j.logits[at + i] : 0;
    w.s[i] = inside ? j.log_var[at + i] : 0;
    w.sign[i] = !inside || j.labels[at + i] < 0 ? 0.0f : j.labels[at + i] ? 1.0f : -1.0f;
  }
  for (int64_t t = 0; t < j.samples; ++t) {
    const int64_t element = t * j.positions + p;
    draw(j.streams[2 * n], j.streams[2 * n + 1], j.site, element / 4, w);
    const float* normals = w.normals + element % 4;
    float *eps = w.eps.data() + t * chunk, *q = w.q.data() + t * chunk;
    for (int64_t i = 0; i < count; i += lanes) {
      const V e = hn::LoadU(d, normals + i);
      const V sigma = hn::Exp(d, hn::Mul(hn::Set(d, 0.5f), hn::Load(d, w.s + i)));
      const V m = hn::Mul(hn::Load(d, w.sign + i), hn::MulAdd(sigma, e, hn::Load(d, w.f + i)));
      const V low = hn::Min(m, hn::Zero(d));
      hn::StoreU(e, d, eps + i);
      hn::StoreU(hn::Sub(low, hn::Log1p(d, hn::Exp(d, hn::Neg(hn::Abs(m))))), d, q + i);
    }
  }
}

// sum_t e^(q[t] - top) at one vector of positions, top = max_t q[t].
HWY_INLINE V sum_likelihoods(D d, const SampledJob& j, const Scratch& w, int64_t i, V& top) {
  top = hn::LoadU(d, w.q.data() + i);
  for (int64_t t = 1; t < j.samples; ++t) top = hn::Max(top, hn::LoadU(d, w.q.data() + t * chunk + i));
  V sum = hn::Zero(d);
  for (int64_t t = 0; t < j.samples; ++t)
    sum = hn::Add(sum, hn::Exp(d, hn::Sub(hn::LoadU(d, w.q.data() + t * chunk + i), top)));
  return sum;
}

template <class F>
void for_each_chunk(const SampledJob& j, F f) {
  const int64_t pieces = (j.positions + chunk - 1) / chunk;
#pragma omp parallel
  {
    std::vector<Scratch> own(1);
    own[0].eps.resize(static_cast<size_t>(j.samples * chunk));
    own[0].q.resize(own[0].eps.size());
#pragma omp for schedule(static) collapse(2)
    for (int64_t n = 0; n < j.rows; ++n) {
      for (int64_t k = 0; k < pieces; ++k) {
        const int64_t p = k * chunk, count = std::min(chunk, j.positions - p);
        sample(j, n, p, count, own[0]);
        f(n * pieces + k, n * j.positions + p, count, own[0]);
      }
    }
  }
}

double Loss(const SampledJob& j) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(D()));
  std::vector<double> parts(static_cast<size_t>(j.rows * ((j.positions + chunk - 1) / chunk)), 0.0);
  for_each_chunk(j, [&](int64_t part, int64_t, int64_t count, const Scratch& w) HWY_ATTR {
    const D d;
    HWY_ALIGN float values[hn::MaxLanes(d)];
    double sum = 0;
    for (int64_t i = 0; i < count; i += lanes) {
      V top;
      const V sum_t = sum_likelihoods(d, j, w, i, top);
      const V log_mean = hn::Add(top, hn::Log(d, hn::Mul(sum_t, hn::Set(d, 1.0f / static_cast<float>(j.samples)))));
      hn::Store(hn::Mul(hn::Abs(hn::Load(d, w.sign + i)), log_mean), d, values);
      for (int64_t k = 0; k < std::min(lanes, count - i); ++k) sum -= static_cast<double>(values[k]);
    }
    parts[static_cast<size_t>(part)] = sum;
  });
  double total = 0;
  for (const double v : parts) total += v;
  return total;
}

void Gradient(const SampledJob& j) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(D()));
  for_each_chunk(j, [&](int64_t, int64_t at, int64_t count, const Scratch& w) HWY_ATTR {
    const D d;
    HWY_ALIGN float df[hn::MaxLanes(d)], ds[hn::MaxLanes(d)];
    for (int64_t i = 0; i < count; i += lanes) {
      V top;
      const V sum_t = sum_likelihoods(d, j, w, i, top), sign = hn::Load(d, w.sign + i);
      V to_f = hn::Zero(d), to_s = hn::Zero(d);
      for (int64_t t = 0; t < j.samples; ++t) {
        const V q = hn::LoadU(d, w.q.data() + t * chunk + i);
        const V slope = hn::Mul(hn::Exp(d, hn::Sub(q, top)), hn::Mul(sign, hn::Expm1(d, q)));
        to_f = hn::Add(to_f, slope);
        to_s = hn::MulAdd(slope, hn::LoadU(d, w.eps.data() + t * chunk + i), to_s);
      }
      const V factor = hn::Div(hn::Set(d, j.factor), sum_t);
      const V half_sigma = hn::Mul(hn::Set(d, 0.5f), hn::Exp(d, hn::Mul(hn::Set(d, 0.5f), hn::Load(d, w.s + i))));
      hn::Store(hn::Mul(factor, to_f), d, df);
      hn::Store(hn::Mul(factor, hn::Mul(to_s, half_sigma)), d, ds);
      const int64_t n = std::min(lanes, count - i);
      std::copy(df, df + n, j.df + at + i);
      std::copy(ds, ds + n, j.ds + at + i);
    }
  });
}

}  // namespace querent::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace querent::cpu {
HWY_EXPORT(Loss);
HWY_EXPORT(Gradient);
namespace {

SampledJob job(const Call& c) {
  const auto& a = c.attrs.as<SampledLogitsAttrs>();
  const int64_t rows = c.in[0].dim(0);
  return {.logits = c.in[0].data<float>(),
          .log_var = c.in[1].data<float>(),
          .labels = c.in[2].data<int64_t>(),
          .streams = c.in[3].data<int64_t>(),
          .rows = rows,
          .positions = c.in[0].numel() / std::max<int64_t>(rows, 1),
          .samples = a.samples,
          .site = a.site};
}
bool is_binary(const Call& c) { return c.in[0].dim(-1) == 1 && c.in[0].numel() > 0; }

}  // namespace

void sampled_cross_entropy(const Call& c) {
  if (!is_binary(c)) return sampled_cross_entropy_op.kernel.ref(c);
  const int64_t counted = check_labels("sampled_cross_entropy", c.in[2], 2);
  const double sum = HWY_DYNAMIC_DISPATCH(Loss)(job(c));
  *c.out[0].data<float>() = counted ? static_cast<float>(sum / static_cast<double>(counted)) : 0;
}
void sampled_cross_entropy_grad(const Call& c) {
  if (!is_binary(c)) return sampled_cross_entropy_grad_op.kernel.ref(c);
  const int64_t counted = check_labels("sampled_cross_entropy", c.in[2], 2);
  SampledJob j = job(c);
  j.factor = *c.in[4].data<float>() / static_cast<float>(std::max<int64_t>(counted, 1));
  j.df = c.out[0].data<float>();
  j.ds = c.out[1].data<float>();
  HWY_DYNAMIC_DISPATCH(Gradient)(j);
}

}  // namespace querent::cpu
#endif
