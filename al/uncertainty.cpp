#include "al/uncertainty.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "al/acquisition.h"
#include "tensor/error.h"

namespace querent::al {
namespace {
double site_entropy(const double* p, int64_t C) {
  return C == 1 ? entropy(std::array{1 - p[0], p[0]}) : entropy({p, static_cast<size_t>(C)});
}
}  // namespace

std::vector<double> probability_noise(std::span<const float> p, std::span<const float> log_variance, int64_t C) {
  check(C >= 1 && p.size() == log_variance.size() && p.size() % static_cast<size_t>(C) == 0,
        "uncertainty: {} probabilities and {} log-variances do not fit {} classes", p.size(), log_variance.size(), C);
  std::vector<double> out(p.size(), 0.0);
  for (size_t first = 0; first < p.size(); first += static_cast<size_t>(C))
    for (size_t c = 0; c < static_cast<size_t>(C); ++c)
      for (size_t k = 0; k < static_cast<size_t>(C); ++k) {
        const double pc = static_cast<double>(p[first + c]), pk = static_cast<double>(p[first + k]);
        const double slope = pc * ((c == k ? 1.0 : 0.0) - pk);
        out[first + c] += slope * slope * std::exp(static_cast<double>(log_variance[first + k]));
      }
  return out;
}

Moments::Moments(int64_t sites, int64_t classes)
    : sites_(sites),
      classes_(classes),
      p_(static_cast<size_t>(sites * classes), 0.0),
      p2_(p_.size(), 0.0),
      noise_(p_.size(), 0.0),
      entropy_(static_cast<size_t>(sites), 0.0) {}

void Moments::add(std::span<const float> p, std::span<const float> log_variance) {
  check(p.size() == p_.size() && (log_variance.empty() || log_variance.size() == p_.size()),
        "uncertainty: a pass has {} probabilities and {} log-variances, expected {}", p.size(), log_variance.size(),
        p_.size());
  std::vector<double> row(static_cast<size_t>(classes_));
  for (int64_t i = 0; i < sites_; ++i) {
    for (int64_t c = 0; c < classes_; ++c) {
      const auto at = static_cast<size_t>(i * classes_ + c);
      const double v = row[static_cast<size_t>(c)] = static_cast<double>(p[at]);
      check(v >= 0 && v <= 1, "uncertainty: a probability is {} at site {}; the model has diverged", v, i);
      p_[at] += v;
      p2_[at] += v * v;
    }
    entropy_[static_cast<size_t>(i)] += site_entropy(row.data(), classes_);
  }
  if (!log_variance.empty()) {
    const std::vector<double> noise = probability_noise(p, log_variance, classes_);
    for (size_t i = 0; i < noise.size(); ++i) noise_[i] += noise[i];
  }
  ++passes_;
}

UncertaintyMaps Moments::maps() const {
  check(passes_ > 0, "uncertainty: no pass was added");
  const double T = static_cast<double>(passes_);
  const auto n = static_cast<size_t>(sites_);
  UncertaintyMaps m;
  m.mean.resize(p_.size());
  for (size_t i = 0; i < p_.size(); ++i) m.mean[i] = p_[i] / T;
  for (auto* map : {&m.epistemic, &m.aleatoric, &m.total, &m.entropy, &m.expected_entropy, &m.mutual_information})
    map->assign(n, 0.0);
  for (size_t i = 0; i < n; ++i) {
    for (size_t c = 0; c < static_cast<size_t>(classes_); ++c) {
      const size_t at = i * static_cast<size_t>(classes_) + c;
      const double share = 1.0 / static_cast<double>(classes_);
      m.epistemic[i] += share * std::max(0.0, p2_[at] / T - m.mean[at] * m.mean[at]);
      m.aleatoric[i] += share * noise_[at] / T;
    }
    m.total[i] = m.epistemic[i] + m.aleatoric[i];
    m.entropy[i] = site_entropy(m.mean.data() + i * static_cast<size_t>(classes_), classes_);
    m.expected_entropy[i] = entropy_[i] / T;
    m.mutual_information[i] = std::max(0.0, m.entropy[i] - m.expected_entropy[i]);
  }
  return m;
}

double mean_of(std::span<const double> map) {
  check(!map.empty(), "uncertainty: the map is empty");
  return std::accumulate(map.begin(), map.end(), 0.0) / static_cast<double>(map.size());
}

}  // namespace querent::al
