// From a forest to the outline of a film.
#pragma once
#include <span>
#include <vector>

#include "al/classic/random_forest.h"
#include "al/mahapatra2013/film.h"
#include "al/metrics.h"

namespace querent::al {

std::vector<double> probabilities(const RandomForest& forest, const FeatureMatrix& features);
// 1 where the probability is at least 1/2: each superpixel by itself.
std::vector<uint8_t> likelier_labels(std::span<const double> p);
// The graph cut: costs -log of the probability, kept between 1 and 99 %; superpixels that touch pay
// smoothness * (length of their border / mean length) * similarity when their labels differ.
std::vector<uint8_t> cut_labels(std::span<const double> p, std::span<const Border> borders,
                                std::span<const double> similarity, double smoothness);

SegmentationMetrics measure(const Film& film, std::span<const uint8_t> labels);

}  // namespace querent::al
