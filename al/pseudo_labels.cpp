#include "al/pseudo_labels.h"

#include <algorithm>

#include "al/acquisition.h"
#include "tensor/error.h"

namespace querent::al {

double pseudo_label_threshold(double first, double decay, int64_t round) {
  return std::max(0.0, first - decay * static_cast<double>(round));
}

std::vector<PseudoLabel> confident(std::span<const std::string> ids, std::span<const std::vector<float>> probabilities,
                                   double delta) {
  check(ids.size() == probabilities.size(), "pseudo-labels: {} images, but predictions of {}", ids.size(),
        probabilities.size());
  std::vector<PseudoLabel> chosen;
  for (size_t i = 0; i < ids.size(); ++i) {
    const std::vector<double> p(probabilities[i].begin(), probabilities[i].end());
    if (entropy(p) < delta) chosen.push_back({ids[i], std::max_element(p.begin(), p.end()) - p.begin()});
  }
  return chosen;
}

}  // namespace querent::al
