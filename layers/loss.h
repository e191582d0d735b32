// Task losses put together from the loss ops. Each returns a scalar.
#pragma once
#include "tensor/ops.h"

namespace querent {

// Segmentation: mean BCE + mean over images of 1 - (2 sum(p t) + 1)/(sum p + sum t + 1), p = sigmoid(logits).
// logits, target [N,H,W,C]
inline Tensor bce_dice_loss(const Tensor& logits, const Tensor& target) {
  return add(bce_with_logits(logits, target), soft_dice_loss(sigmoid(logits), target));
}

}  // namespace querent
