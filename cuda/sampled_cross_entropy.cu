// sampled_cross_entropy and its gradient: one thread for each position, which draws its noise anew wherever it needs it
// (Philox words of tensor/rng.h) instead of storing it. Logits are added up in double, since their differences count.
#include "cuda/labels.cuh"
#include "tensor/kernels.h"
#include "tensor/op_attrs.h"
#include "tensor/rng.h"

namespace querent::cuda {
namespace {

struct Noise {  // the standard normals of one stream; neighbours share a block of words
  int64_t key, counter, site, block = -1;
  PhiloxCounter words{};

  __device__ float normal(int64_t element) {
    if (element / 4 != block) {
      block = element / 4;
      words = stream_block(key, counter, site, block);
    }
    const auto pair = static_cast<size_t>(element % 4 / 2) * 2;
    const uint32_t u = words[pair];
    // log((u+1) 2^-32); near 1 by the distance from 1, which f32 holds with all digits
    const float log_u = u < 0x80000000u ? logf((static_cast<float>(u) + 1) * 0x1p-32f)
                                        : log1pf(static_cast<float>(0xffffffffu - u) * -0x1p-32f);
    float sine, cosine;
    sincospif(static_cast<float>(static_cast<int32_t>(words[pair + 1])) * 0x1p-31f, &sine, &cosine);
    return sqrtf(-2 * log_u) * (element % 2 ? sine : cosine);
  }
};

struct Samples {  // what the op was given
  const float *logits, *log_var;
  const int64_t* streams;
  int64_t positions, classes, wide, samples, site;

  explicit Samples(const Call& c)
      : logits(input(c, 0)),
        log_var(input(c, 1)),
        streams(c.in[3].data<int64_t>()),
        positions(c.in[2].numel() / std::max<int64_t>(c.in[0].dim(0), 1)),
        classes(c.in[0].dim(-1)),
        wide(c.in[1].dim(-1)),
        samples(c.attrs.as<SampledLogitsAttrs>().samples),
        site(c.attrs.as<SampledLogitsAttrs>().site) {}

  __device__ Noise noise(int64_t i) const {
    const int64_t row = split(i, positions).quotient;
    return {streams[2 * row], streams[2 * row + 1], site};
  }
  __device__ int64_t element(int64_t i, int64_t t, int64_t k) const {
    return (t * positions + split(i, positions).rest) * classes + k;
  }
  __device__ float sigma(int64_t i, int64_t k) const { return expf(0.5f * log_var[i * wide + (wide == 1 ? 0 : k)]); }
  __device__ double logit(int64_t i, int64_t k, float eps) const {
    return logits[i * classes + k] + static_cast<double>(sigma(i, k)) * eps;
  }
};

// Sample t at position i: log softmax(z)[label], and what gives the softmax.
struct Sampled {
  double top;
  float rest;  // sum_c e^(z[c] - top)
  double log_of_label;
  __device__ float probability(double z) const { return expf(static_cast<float>(z - top)) / rest; }
};
__device__ inline Sampled draw(const Samples& s, Noise& noise, int64_t i, int64_t t, int64_t label) {
  if (s.classes == 1) {  // classes 0 and 1 with logits 0 and z
    const double z = s.logit(i, 0, noise.normal(s.element(i, t, 0)));
    const double top = z > 0 ? z : 0;
    const float small = expf(static_cast<float>(z > 0 ? -z : z));
    return {top, 1 + small, (label ? z : 0) - top - log1pf(small)};
  }
  Sampled d{-INFINITY, 0, 0};
  for (int64_t k = 0; k < s.classes; ++k) {
    const double z = s.logit(i, k, noise.normal(s.element(i, t, k)));
    if (k == label) d.log_of_label = z;
    if (z > d.top) {
      d.rest = d.rest * expf(static_cast<float>(d.top - z)) + 1;
      d.top = z;
    } else {
      d.rest += expf(static_cast<float>(z - d.top));
    }
  }
  d.log_of_label -= d.top + static_cast<double>(logf(d.rest));
  return d;
}
// log (1/T) sum_t e^q[t]
__device__ inline double log_likelihood(const Samples& s, int64_t i, int64_t label) {
  Noise noise = s.noise(i);
  double top = -INFINITY, rest = 0;
  for (int64_t t = 0; t < s.samples; ++t) {
    const double q = draw(s, noise, i, t, label).log_of_label;
    if (q > top) {
      rest = rest * expf(static_cast<float>(top - q)) + 1;
      top = q;
    } else {
      rest += expf(static_cast<float>(q - top));
    }
  }
  return top + logf(static_cast<float>(rest / static_cast<double>(s.samples)));
}

int64_t label_classes(const Call& c) { return std::max<int64_t>(c.in[0].dim(-1), 2); }

}  // namespace

void sampled_cross_entropy(const Call& c) {
  const Samples s(c);
  const Labels labels("sampled_cross_entropy", c, c.in[2], label_classes(c));
  float* loss = c.out[0].data<float>();
  reduce_all<2>(
      "sampled_cross_entropy", c, c.in[2].numel(),
      [=] __device__(int64_t i, int64_t, int64_t, double* sum) {
        const int64_t label = labels.at(i);
        if (label < 0) return;
        sum[0] += 1;
        sum[1] -= log_likelihood(s, i, label);
      },
      [=] __device__(int64_t, const double* sum) { *loss = sum[0] > 0 ? static_cast<float>(sum[1] / sum[0]) : 0; });
}

void sampled_cross_entropy_grad(const Call& c) {
  const Samples s(c);
  const Labels labels("sampled_cross_entropy_grad", c, c.in[2], label_classes(c));
  const float* dloss = input(c, 4);
  float *df = c.out[0].data<float>(), *ds = c.out[1].data<float>();
  const Tensor count = scratch(c, 1, DType::f64);
  double* const counted = count.data<double>();
  reduce_all<1>(
      "sampled_cross_entropy_grad", c, c.in[2].numel(),
      [=] __device__(int64_t i, int64_t, int64_t, double* sum) { *sum += labels.at(i) >= 0; },
      [=] __device__(int64_t, const double* sum) { *counted = *sum; });
  // Sums over the samples grow in place: each element belongs to one thread.
  for_each("sampled_cross_entropy_grad", c, c.in[2].numel(), [=] __device__(int64_t i) {
    const int64_t label = labels.at(i);
    for (int64_t k = 0; k < s.classes; ++k) df[i * s.classes + k] = 0;
    for (int64_t k = 0; k < s.wide; ++k) ds[i * s.wide + k] = 0;
    if (label < 0) return;
    const auto factor = static_cast<float>(*dloss / *counted);
    const double likelihood = log_likelihood(s, i, label);
    Noise noise = s.noise(i), again = noise;
    for (int64_t t = 0; t < s.samples; ++t) {
      const Sampled d = draw(s, noise, i, t, label);
      const float r = expf(static_cast<float>(d.log_of_label - likelihood)) / static_cast<float>(s.samples);
      for (int64_t k = 0; k < s.classes; ++k) {
        const float eps = again.normal(s.element(i, t, k));
        const bool hit = s.classes == 1 ? label == 1 : k == label;
        const float slope = factor * r * (d.probability(s.logit(i, k, eps)) - static_cast<float>(hit));
        df[i * s.classes + k] += slope;
        ds[i * s.wide + (s.wide == 1 ? 0 : k)] += slope * eps * s.sigma(i, k) / 2;
      }
    }
  });
}

}  // namespace querent::cuda
