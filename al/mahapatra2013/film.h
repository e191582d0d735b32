// Films as the experiment sees them: superpixels, what is known of each, and what an annotator would say.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "al/classic/label_propagation.h"
#include "al/classic/superpixel_features.h"
#include "al/classic/superpixels.h"

namespace querent::al {

struct Film {
  int64_t case_index = -1;
  Superpixels superpixels;
  FeatureMatrix features;
  std::vector<Border> borders;
  std::vector<uint8_t> mask;   // [size,size], the reference
  std::vector<uint8_t> truth;  // of each superpixel: the majority of the mask
};
Film describe_film(const Image& image, const Image& mask, const SlicOptions& options);

// How alike superpixels are that touch: exp(-sum_k importance_k (a_k - b_k)^2), features in standard deviations of the
// pool, weighted by what the forest found them worth (importance adds up to 1). One number per border.
std::vector<double> similarity(std::span<const Border> borders, const FeatureMatrix& standardised,
                               std::span<const double> importance);

// The superpixels of several films, numbered through: node `first[f] + s` is superpixel s of film f.
struct SuperpixelPool {
  std::vector<Film> films;
  std::vector<int64_t> first = {0};  // [films + 1]
  FeatureMatrix features;            // [nodes]
  std::vector<uint8_t> truth;        // [nodes]; the oracle reads it, the experiment does not
  std::vector<Border> borders;       // between nodes
  int64_t nodes() const { return first.back(); }
};
SuperpixelPool make_pool(std::vector<Film> films);

// The graph that labels spread on: each node with its `neighbours` nearest in standardised features, over all films,
// and with the superpixels it touches; weight exp(-d^2 / (2 s^2)), s^2: the mean squared distance to the nearest ones.
Graph likeness_graph(const SuperpixelPool& pool, const FeatureMatrix& standardised, int64_t neighbours);
// Mean weight of a node's links, in [0,1]: near 1 where many look like it, near 0 for an outlier.
std::vector<double> information_density(const Graph& graph);

}  // namespace querent::al
