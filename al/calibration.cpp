#include "al/calibration.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tensor/error.h"

namespace querent::al {

Reliability::Reliability(int64_t bins) {
  check(bins >= 1, "calibration: the number of bins must be at least 1, got {}", bins);
  count_.resize(static_cast<size_t>(bins));
  correct_.resize(count_.size());
  confidence_.resize(count_.size());
}

void Reliability::add(double confidence, bool correct) {
  check(confidence >= 0 && confidence <= 1, "calibration: a confidence is {}, not in [0,1]", confidence);
  const auto last = static_cast<int64_t>(count_.size()) - 1;
  const auto bin = static_cast<int64_t>(std::ceil(confidence * static_cast<double>(count_.size()))) - 1;
  const auto at = static_cast<size_t>(std::clamp<int64_t>(bin, 0, last));
  ++count_[at];
  correct_[at] += correct;
  confidence_[at] += confidence;
}

void Reliability::add_mask(std::span<const float> p, std::span<const uint8_t> truth) {
  check(p.size() == truth.size(), "calibration: {} probabilities for {} pixels", p.size(), truth.size());
  for (size_t i = 0; i < p.size(); ++i) {
    const double v = static_cast<double>(p[i]);
    add(std::max(v, 1 - v), (v >= 0.5) == (truth[i] != 0));
  }
}

int64_t Reliability::count() const { return std::accumulate(count_.begin(), count_.end(), int64_t{0}); }

std::vector<ReliabilityBin> Reliability::bins() const {
  std::vector<ReliabilityBin> out;
  const double n = static_cast<double>(count_.size());
  for (size_t i = 0; i < count_.size(); ++i) {
    const double in_bin = static_cast<double>(std::max<int64_t>(1, count_[i]));
    out.push_back({static_cast<double>(i) / n, static_cast<double>(i + 1) / n, count_[i], confidence_[i] / in_bin,
                   static_cast<double>(correct_[i]) / in_bin});
  }
  return out;
}

double Reliability::ece() const {
  if (count() == 0) return 0;
  double sum = 0;
  for (size_t i = 0; i < count_.size(); ++i) sum += std::abs(static_cast<double>(correct_[i]) - confidence_[i]);
  return sum / static_cast<double>(count());
}

double Reliability::mce() const {
  double worst = 0;
  for (const ReliabilityBin& b : bins()) worst = std::max(worst, std::abs(b.accuracy - b.confidence));
  return worst;
}

std::vector<double> calibrated(std::span<const float> logits, int64_t classes, double temperature) {
  check(temperature > 0, "calibration: the temperature must be positive, got {}", temperature);
  check(classes >= 1 && logits.size() % static_cast<size_t>(classes) == 0,
        "calibration: {} logits do not fit {} classes", logits.size(), classes);
  const auto C = static_cast<size_t>(classes);
  std::vector<double> p(logits.size());
  for (size_t first = 0; first < logits.size(); first += C) {
    // One sigmoid = softmax of {0, f}.
    double top = C == 1 ? 0 : -INFINITY, sum = 0;
    for (size_t c = 0; c < C; ++c) top = std::max(top, static_cast<double>(logits[first + c]) / temperature);
    for (size_t c = 0; c < C; ++c)
      sum += p[first + c] = std::exp(static_cast<double>(logits[first + c]) / temperature - top);
    if (C == 1) sum += std::exp(-top);
    for (size_t c = 0; c < C; ++c) p[first + c] /= sum;
  }
  return p;
}

double fit_temperature(std::span<const float> logits, std::span<const int64_t> labels, int64_t classes) {
  const auto C = static_cast<size_t>(classes);
  check(classes >= 1 && !labels.empty() && logits.size() == labels.size() * C,
        "calibration: {} logits do not fit {} labels and {} classes", logits.size(), labels.size(), classes);
  for (const float f : logits) check(std::isfinite(f), "calibration: a logit is {}", f);
  for (const int64_t y : labels)
    check(y >= 0 && y < std::max<int64_t>(2, classes), "calibration: label {} is not one of the classes", y);
  // d NLL / d beta = sum_n sum_c (p_c - [c = y]) f_c, rising in beta = 1/T.
  const auto slope = [&](double beta) {
    const std::vector<double> p = calibrated(logits, classes, 1 / beta);
    double sum = 0;
    for (size_t i = 0; i < labels.size(); ++i)
      for (size_t c = 0; c < C; ++c) {
        const bool hit = C == 1 ? labels[i] == 1 : labels[i] == static_cast<int64_t>(c);
        sum += (p[i * C + c] - (hit ? 1.0 : 0.0)) * static_cast<double>(logits[i * C + c]);
      }
    return sum;
  };
  double low = 1 / 20.0, high = 20;
  if (slope(low) >= 0) return 1 / low;
  if (slope(high) <= 0) return 1 / high;
  for (int i = 0; i < 60; ++i) {
    const double middle = std::sqrt(low * high);
    (slope(middle) < 0 ? low : high) = middle;
  }
  return 1 / std::sqrt(low * high);
}

}  // namespace querent::al
