// Cost-effective active learning (CEAL; Wang, Zhang, Li, Zhang and Lin 2017): what the network is sure about is trained on
// as well, with its own answer for the label, which costs nothing.
//
//   entropy(x) = -sum_c p_c ln p_c < delta   ->   pseudo-label argmax_c p_c,   delta_r = max(0, delta_0 - decay r)
//
// Only images that are neither labelled nor asked get one, it serves one training, and then it is forgotten: the next
// round asks the next network. In al/experiment.cpp those images are appended to the loader for that training alone.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace querent::al {

struct PseudoLabel {
  std::string id;
  int64_t label = 0;
};

// delta of round 0, 1, ...
double pseudo_label_threshold(double first, double decay, int64_t round);
// The confident ones, in the order given; probabilities [C] of each id. A delta of 0 chooses none.
std::vector<PseudoLabel> confident(std::span<const std::string> ids, std::span<const std::vector<float>> probabilities,
                                   double delta);

}  // namespace querent::al
