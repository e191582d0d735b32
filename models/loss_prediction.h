// Learning loss (Yoo and Kweon, CVPR 2019): a small network that reads the feature maps of another and says how large
// that one's loss of an image will be, up to order.
#pragma once
#include <span>
#include <vector>

#include "layers/linear.h"

namespace querent {

// Figure 2(b): the global average of each stage through a linear layer of `width` units and a ReLU; all of them side by
// side through one linear unit.
struct LossPrediction {
  std::vector<Linear> stages;
  Linear fc;
  LossPrediction(const Scope& s, std::span<const int64_t> channels, int64_t width = 128);
  Tensor operator()(const Tensors& averages) const;  // one [N,C_i] for each stage -> [N,1]
};

// Equation 2, mean over pairs: max(0, margin - order * (first - second)). first, second, order [P,1]; order is +1 where
// the true loss of the first of a pair is larger and -1 elsewhere.
Tensor ranking_loss(const Tensor& first, const Tensor& second, const Tensor& order, double margin = 1);

}  // namespace querent
