// What every task network returns.
#pragma once
#include "tensor/tensor.h"

namespace querent {

// Segmentation: [N,H,W,C]. Classification: [N,C]. log_var (log of the variance of the logits' noise, Kendall and Gal
// 2017) has the shape of logits and is none unless the network was built with that head.
struct Output {
  Tensor logits, log_var;
};

}  // namespace querent
