#include "al/realism/class_consistency.h"

#include <algorithm>

#include "tensor/error.h"

namespace querent::al {

Accuracy accuracy(std::span<const std::vector<float>> p, std::span<const int64_t> labels,
                  std::span<const int64_t> groups, uint64_t seed) {
  check(!p.empty() && p.size() == labels.size() && p.size() == groups.size(),
        "class consistency: {} predictions, {} labels and {} groups do not fit", p.size(), labels.size(),
        groups.size());
  Accuracy a{.n = static_cast<int64_t>(p.size())};
  std::vector<double> right;
  for (size_t i = 0; i < p.size(); ++i) {
    check(labels[i] >= 0 && labels[i] < static_cast<int64_t>(p[i].size()),
          "class consistency: film {} has class {}, the network knows {}", i, labels[i], p[i].size());
    a.predicted.push_back(std::max_element(p[i].begin(), p[i].end()) - p[i].begin());
    right.push_back(a.predicted.back() == labels[i] ? 1 : 0);
    a.mean += right.back();
  }
  a.mean /= static_cast<double>(a.n);
  a.interval = bootstrap_grouped_mean(right, groups, seed);
  return a;
}

}  // namespace querent::al
