#include "al/mahapatra2013/segment.h"

#include <algorithm>
#include <cmath>

#include "al/classic/graph_cut.h"

namespace querent::al {

std::vector<double> probabilities(const RandomForest& forest, const FeatureMatrix& features) {
  std::vector<double> p;
  for (int64_t i = 0; i < features.n; ++i) p.push_back(forest.probability(features.row(i)));
  return p;
}

std::vector<uint8_t> likelier_labels(std::span<const double> p) {
  std::vector<uint8_t> labels;
  for (const double v : p) labels.push_back(v >= 0.5);
  return labels;
}

std::vector<uint8_t> cut_labels(std::span<const double> p, std::span<const Border> borders,
                                std::span<const double> similarity, double smoothness) {
  std::vector<LabelCost> costs;
  for (const double v : p) {
    const double one = std::clamp(v, 0.01, 0.99);
    costs.push_back({-std::log(1 - one), -std::log(one)});
  }
  double length = 0;
  for (const Border& b : borders) length += static_cast<double>(b.length) / static_cast<double>(borders.size());
  std::vector<Smoothness> pairs;
  for (size_t k = 0; k < borders.size(); ++k) {
    const Border& b = borders[k];
    pairs.push_back({b.first, b.second, smoothness * static_cast<double>(b.length) / length * similarity[k]});
  }
  return minimum_energy_labels(costs, pairs);
}

SegmentationMetrics measure(const Film& f, std::span<const uint8_t> labels) {
  return segmentation_metrics(paint(f.superpixels, labels), f.mask, f.superpixels.height, f.superpixels.width);
}

}  // namespace querent::al
