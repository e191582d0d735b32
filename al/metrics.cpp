#include "al/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "al/surface_distance.h"
#include "tensor/error.h"

namespace querent::al {
namespace {

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

double ratio(int64_t part, int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : unknown;
}
double mean_of_known(std::span<const double> v) {
  double sum = 0;
  int64_t n = 0;
  for (const double x : v)
    if (std::isfinite(x)) {
      sum += x;
      ++n;
    }
  return n > 0 ? sum / static_cast<double>(n) : unknown;
}
NamedMetrics known(NamedMetrics all) {
  std::erase_if(all, [](const auto& m) { return !std::isfinite(m.second); });
  return all;
}

void check_classification(std::span<const float> p, std::span<const int64_t> labels, int64_t C) {
  check(C >= 2, "metrics: classification needs at least 2 classes, got {}", C);
  check(!labels.empty(), "metrics: there is no labelled image to evaluate on");
  check(p.size() == labels.size() * static_cast<size_t>(C),
        "metrics: {} probabilities do not fit {} images and {} classes", p.size(), labels.size(), C);
  for (size_t i = 0; i < labels.size(); ++i) {
    check(labels[i] >= 0 && labels[i] < C, "metrics: image {} has the class {}, the model knows {} classes", i,
          labels[i], C);
    double sum = 0;
    for (const float v : p.subspan(i * static_cast<size_t>(C), static_cast<size_t>(C))) {
      check(v >= 0 && v <= 1, "metrics: image {} has a probability of {}; the model has diverged", i, v);
      sum += static_cast<double>(v);
    }
    check(std::abs(sum - 1) < 1e-3, "metrics: the probabilities of image {} add up to {}, not 1", i, sum);
  }
}

}  // namespace

double auc(std::span<const double> scores, std::span<const uint8_t> positive) {
  check(scores.size() == positive.size(), "auc: {} scores for {} labels", scores.size(), positive.size());
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  for (const double s : scores) check(!std::isnan(s), "auc: a score is not a number");
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] < scores[b]; });
  double rank_sum = 0, positives = 0;
  for (size_t i = 0; i < order.size();) {
    size_t j = i;
    while (j < order.size() && scores[order[j]] == scores[order[i]]) ++j;
    for (size_t k = i; k < j; ++k)
      if (positive[order[k]]) {
        rank_sum += static_cast<double>(i + j + 1) / 2;  // mean of the ranks i+1 .. j
        positives += 1;
      }
    i = j;
  }
  const double negatives = static_cast<double>(scores.size()) - positives;
  if (positives == 0 || negatives == 0) return unknown;
  return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives);
}

ClassificationMetrics classification_metrics(std::span<const float> p, std::span<const int64_t> labels, int64_t classes,
                                             int64_t bins) {
  check_classification(p, labels, classes);
  const auto C = static_cast<size_t>(classes), N = labels.size();
  ClassificationMetrics m;
  m.count = static_cast<int64_t>(N);
  m.classes = classes;
  m.confusion.assign(C * C, 0);
  Reliability reliability(bins);
  int64_t correct = 0;
  for (size_t i = 0; i < N; ++i) {
    const auto row = p.subspan(i * C, C);
    const auto y = static_cast<size_t>(labels[i]);
    const auto guess = C == 2 ? static_cast<size_t>(row[1] >= 0.5f)
                              : static_cast<size_t>(std::max_element(row.begin(), row.end()) - row.begin());
    ++m.confusion[y * C + guess];
    correct += guess == y;
    reliability.add(static_cast<double>(row[guess]), guess == y);
    m.nll -= std::log(std::max(1e-12, static_cast<double>(row[y]))) / static_cast<double>(N);
    for (size_t c = 0; c < C; ++c) {
      const double gap = static_cast<double>(row[c]) - (c == y ? 1.0 : 0.0);
      m.brier += gap * gap / static_cast<double>(N);
    }
  }
  m.accuracy = ratio(correct, m.count);
  m.ece = reliability.ece();
  m.reliability = reliability.bins();

  std::vector<double> scores(N);
  std::vector<uint8_t> positive(N);
  for (size_t c = 0; c < C; ++c) {
    int64_t in_class = 0, guessed = 0;
    for (size_t k = 0; k < C; ++k) {
      in_class += m.confusion[c * C + k];
      guessed += m.confusion[k * C + c];
    }
    const int64_t hits = m.confusion[c * C + c], others = m.count - in_class;
    m.class_sensitivity.push_back(ratio(hits, in_class));
    m.class_specificity.push_back(ratio(others - (guessed - hits), others));
    for (size_t i = 0; i < N; ++i) {
      scores[i] = static_cast<double>(p[i * C + c]);
      positive[i] = labels[i] == static_cast<int64_t>(c);
    }
    m.class_auc.push_back(auc(scores, positive));
  }
  m.auc = C == 2 ? m.class_auc[1] : mean_of_known(m.class_auc);
  m.sensitivity = C == 2 ? m.class_sensitivity[1] : mean_of_known(m.class_sensitivity);
  m.specificity = C == 2 ? m.class_specificity[1] : mean_of_known(m.class_specificity);
  return m;
}

NamedMetrics ClassificationMetrics::named() const {
  return known({{"auc", auc},
                {"sensitivity", sensitivity},
                {"specificity", specificity},
                {"accuracy", accuracy},
                {"ece", ece},
                {"nll", nll},
                {"brier", brier}});
}

SegmentationMetrics segmentation_metrics(std::span<const uint8_t> predicted, std::span<const uint8_t> truth, int64_t H,
                                         int64_t W, Spacing spacing) {
  const auto n = static_cast<size_t>(H * W);
  check(H > 0 && W > 0 && predicted.size() == n && truth.size() == n,
        "metrics: masks of {} and {} pixels do not fit {}x{}", predicted.size(), truth.size(), H, W);
  int64_t a = 0, b = 0, both = 0;
  for (size_t i = 0; i < n; ++i) {
    a += predicted[i] != 0;
    b += truth[i] != 0;
    both += predicted[i] && truth[i];
  }
  const bool known_spacing = spacing.dy > 0 && spacing.dx > 0;
  SegmentationMetrics m;
  if (a == 0 || b == 0) {
    const bool agree = a == b;
    const double h = static_cast<double>(H), w = static_cast<double>(W);
    m.dice = m.iou = agree ? 1 : 0;
    m.hausdorff_px = m.hausdorff95_px = agree ? 0 : std::hypot(h, w);
    m.hausdorff_mm = m.hausdorff95_mm = !known_spacing ? unknown
                                        : agree        ? 0
                                                       : std::hypot(h * spacing.dy, w * spacing.dx);
    return m;
  }
  m.dice = 2 * static_cast<double>(both) / static_cast<double>(a + b);
  m.iou = static_cast<double>(both) / static_cast<double>(a + b - both);
  const Hausdorff px = hausdorff(predicted, truth, H, W);
  m.hausdorff_px = px.max;
  m.hausdorff95_px = px.p95;
  const Hausdorff mm =
      known_spacing ? hausdorff(predicted, truth, H, W, spacing.dy, spacing.dx) : Hausdorff{unknown, unknown};
  m.hausdorff_mm = mm.max;
  m.hausdorff95_mm = mm.p95;
  return m;
}

NamedMetrics SegmentationMetrics::named() const {
  return known({{"dice", dice},
                {"iou", iou},
                {"hausdorff_px", hausdorff_px},
                {"hausdorff95_px", hausdorff95_px},
                {"hausdorff_mm", hausdorff_mm},
                {"hausdorff95_mm", hausdorff95_mm}});
}

SegmentationMetrics mean_metrics(std::span<const SegmentationMetrics> images) {
  check(!images.empty(), "metrics: there is no image with a mask to evaluate on");
  const auto mean = [&](double SegmentationMetrics::*field) {
    std::vector<double> v;
    for (const SegmentationMetrics& m : images) v.push_back(m.*field);
    return mean_of_known(v);
  };
  using M = SegmentationMetrics;
  return {mean(&M::dice),           mean(&M::iou),          mean(&M::hausdorff_px),
          mean(&M::hausdorff95_px), mean(&M::hausdorff_mm), mean(&M::hausdorff95_mm)};
}

std::vector<uint8_t> threshold(std::span<const float> p, float at) {
  std::vector<uint8_t> out(p.size());
  for (size_t i = 0; i < p.size(); ++i) {
    check(std::isfinite(p[i]), "metrics: a predicted pixel is {}; the model has diverged", p[i]);
    out[i] = p[i] >= at;
  }
  return out;
}

}  // namespace querent::al
