#include "models/bayes.h"

#include <algorithm>
#include <cmath>

#include "tensor/ops.h"
#include "tensor/rng.h"
#include "tensor/tape.h"

namespace querent {
namespace {

// Standard normals of one element for the samples 4g .. 4g+3, from its row's stream (Box-Muller).
void four_normals(double* out, uint64_t key, int64_t g, int64_t element) {
  const PhiloxCounter r =
      philox({static_cast<uint32_t>(element), static_cast<uint32_t>(g), 0, 0xa1ea701cu},
             {static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)});
  for (size_t i = 0; i < 4; i += 2) {
    const double radius = std::sqrt(-2.0 * std::log((r[i] + 1.0) * 0x1p-32)),
                 angle = 6.283185307179586476925 * (r[i + 1] * 0x1p-32);
    out[i] = radius * std::cos(angle), out[i + 1] = radius * std::sin(angle);
  }
}

// Probabilities of one position: sigmoid for one class, softmax for more. Returns the entropy in nats.
double to_probability(std::span<const double> logits, std::span<double> p) {
  if (logits.size() == 1) {
    p[0] = 1 / (1 + std::exp(-logits[0]));
    const double q = 1 - p[0];
    return -(p[0] > 0 ? p[0] * std::log(p[0]) : 0) - (q > 0 ? q * std::log(q) : 0);
  }
  const double top = *std::max_element(logits.begin(), logits.end());
  double sum = 0, entropy = 0;
  for (size_t c = 0; c < p.size(); ++c) sum += p[c] = std::exp(logits[c] - top);
  for (double& v : p) {
    v /= sum;
    entropy -= v > 0 ? v * std::log(v) : 0;
  }
  return entropy;
}

// What one pass says about one position of the output.
struct Reading {
  std::vector<double> logit, probability, draw, value, variance;  // value, variance: y_t and s_t^2
  std::vector<double> normals;                                    // [classes, samples rounded up to 4]
  double entropy = 0;
  explicit Reading(size_t classes)
      : logit(classes), probability(classes), draw(classes), value(classes), variance(classes) {}
};

// Fills `r` from logits f[c] and log-variances s[c] (null: none). `position` counts positions within the row.
void read_position(Reading& r, const float* f, const float* s, const PosteriorOptions& o, uint64_t key,
                   int64_t position) {
  const size_t classes = r.logit.size();
  for (size_t c = 0; c < classes; ++c) r.logit[c] = f[c];
  if (!s) {
    r.entropy = to_probability(r.logit, r.probability);
    for (size_t c = 0; c < classes; ++c) r.variance[c] = r.probability[c] * (1 - r.probability[c]);
  } else {  // Welford over the draws of logit noise
    r.entropy = 0;
    std::fill(r.value.begin(), r.value.end(), 0);
    std::fill(r.variance.begin(), r.variance.end(), 0);
    std::vector<double>& p = r.probability;
    const auto groups = static_cast<size_t>((o.samples + 3) / 4);
    r.normals.resize(classes * groups * 4);
    for (size_t c = 0; c < classes; ++c) {
      for (size_t g = 0; g < groups; ++g) {
        four_normals(&r.normals[(c * groups + g) * 4], key, static_cast<int64_t>(g),
                     position * static_cast<int64_t>(classes) + static_cast<int64_t>(c));
      }
    }
    for (int64_t k = 0; k < o.samples; ++k) {
      const auto n = static_cast<double>(k + 1);
      for (size_t c = 0; c < classes; ++c) {
        r.draw[c] = r.logit[c] + std::exp(0.5 * s[c]) * r.normals[c * groups * 4 + static_cast<size_t>(k)];
      }
      r.entropy += (to_probability(r.draw, p) - r.entropy) / n;
      for (size_t c = 0; c < classes; ++c) {
        const double before = p[c] - r.value[c];
        r.value[c] += before / n;
        r.variance[c] += before * (p[c] - r.value[c]);
      }
    }
    for (size_t c = 0; c < classes; ++c) p[c] = r.value[c], r.variance[c] /= static_cast<double>(o.samples);
  }
  for (size_t c = 0; c < classes; ++c) {
    const bool logit = o.space == PosteriorOptions::logit;
    r.value[c] = logit ? r.logit[c] : r.probability[c];
    if (logit) r.variance[c] = s ? std::exp(static_cast<double>(s[c])) : 0;
  }
}

Tensor as_tensor(const std::vector<double>& v, const Shape& shape) {
  return Tensor::from(std::span<const double>(v), shape, DType::f32);
}

}  // namespace

std::vector<double> Posterior::per_image(const Tensor& values) {
  const int64_t n = values.dim(0), each = n ? values.numel() / n : 0;
  const std::vector<float> v = values.host();
  std::vector<double> out(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    double sum = 0;
    for (int64_t j = 0; j < each; ++j) sum += v[static_cast<size_t>(i * each + j)];
    out[static_cast<size_t>(i)] = sum / static_cast<double>(std::max<int64_t>(each, 1));
  }
  return out;
}

Posterior predict_posterior(const Model& model, const Tensor& x, std::span<const int64_t> ids,
                            const PosteriorOptions& o) {
  Inference inference(model);
  return predict_posterior(inference, x, ids, o);
}

Posterior predict_posterior(Inference& inference, const Tensor& x, std::span<const int64_t> ids,
                            const PosteriorOptions& o) {
  check(o.samples >= 1, "posterior: samples must be at least 1, got {}", o.samples);
  Posterior result;
  Shape shape, positions_shape, passes_shape{o.passes};
  std::vector<double> mean, first, second, aleatoric, entropy;  // first, second: running moments of y_t
  std::vector<float> all_passes;
  inference.sample(x, ids, o.passes, o.seed, [&](int64_t t, const Inference::Answer& answer) {
    const Output& out = answer.output;
    const std::vector<float> f = out.logits.host(), s = out.log_var ? out.log_var.host() : std::vector<float>{};
    const int64_t classes = out.logits.dim(-1), positions = out.logits.numel() / classes,
                  per_row = positions / x.dim(0);
    if (t == 0) {
      shape = out.logits.shape();
      for (int i = 0; i + 1 < shape.rank(); ++i) positions_shape.push_back(shape[i]);
      for (const int64_t extent : shape) passes_shape.push_back(extent);
      for (auto* v : {&mean, &first, &second, &aleatoric}) v->assign(f.size(), 0);
      entropy.assign(static_cast<size_t>(positions), 0);
      if (o.keep_passes) all_passes.resize(f.size() * static_cast<size_t>(o.passes));
    }
    const auto n = static_cast<double>(t + 1);
#pragma omp parallel
    {
      Reading r(static_cast<size_t>(classes));
#pragma omp for schedule(static)
      for (int64_t i = 0; i < positions; ++i) {
        const int64_t row = i / per_row;
        const uint64_t key = mix_key(o.seed ^ 0x5a17u, static_cast<uint64_t>(ids[static_cast<size_t>(row)]));
        read_position(r, &f[static_cast<size_t>(i * classes)],
                      s.empty() ? nullptr : &s[static_cast<size_t>(i * classes)], o, key, i % per_row);
        entropy[static_cast<size_t>(i)] += (r.entropy - entropy[static_cast<size_t>(i)]) / n;
        for (int64_t c = 0; c < classes; ++c) {
          const auto e = static_cast<size_t>(i * classes + c), k = static_cast<size_t>(c);
          mean[e] += (r.probability[k] - mean[e]) / n;
          const double before = r.value[k] - first[e];
          first[e] += before / n;
          second[e] += before * (r.value[k] - first[e]);
          aleatoric[e] += (r.variance[k] - aleatoric[e]) / n;
          if (o.keep_passes) all_passes[static_cast<size_t>(t) * f.size() + e] = static_cast<float>(r.probability[k]);
        }
      }
    }
  });
  std::vector<double> total(second.size());
  for (size_t e = 0; e < second.size(); ++e) {
    second[e] /= static_cast<double>(o.passes);
    total[e] = second[e] + aleatoric[e];
  }
  result.mean = as_tensor(mean, shape);
  result.epistemic = as_tensor(second, shape);
  result.aleatoric = as_tensor(aleatoric, shape);
  result.total = as_tensor(total, shape);
  result.aleatoric_entropy = as_tensor(entropy, positions_shape);
  if (o.keep_passes) result.passes = Tensor::from(std::span<const float>(all_passes), passes_shape);
  return result;
}

Tensor predict(const Model& model, const Tensor& x) {
  const NoTape no_tape;
  return probability_of(model.forward(x.to(model.device)).logits);
}

}  // namespace querent
