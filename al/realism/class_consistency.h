// Does a synthetic film still show the finding of the film it was made from? A classification network names the
// samples; its accuracy against the labels of their bases is compared with its accuracy on real held-out films.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "al/statistics.h"

namespace querent::al {

struct Accuracy {
  int64_t n = 0;
  double mean = 0;
  Interval interval = {};               // 95 %, over groups
  std::vector<int64_t> predicted = {};  // the likeliest class of each film
};
// p: [films][classes]; labels: class of each film; groups: films that belong together.
Accuracy accuracy(std::span<const std::vector<float>> p, std::span<const int64_t> labels,
                  std::span<const int64_t> groups, uint64_t seed);

struct ClassConsistency {
  Accuracy samples, real;
  // As often right about samples as about real films, as far as the number of samples can tell.
  bool keeps() const { return samples.interval.high >= real.mean; }
};

}  // namespace querent::al
