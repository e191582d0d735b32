// The loss of a task and one optimizer step: the same few lines for every network.
#pragma once
#include "layers/optim.h"
#include "models/model.h"

namespace querent {

struct TaskLoss {
  bool dice = true;           // segmentation: add the soft Dice loss to the cross-entropy
  int64_t samples = 10;       // logit draws per element when the model has a log-variance head
  Tensor class_weights = {};  // f32 [C]; none: 1. For C = 1 the two weights of background and foreground
};

// Mean loss of a batch, a scalar. labels i64: [N] for classifiers, [N,H,W] for segmenters; classes 0..C-1, or 0/1 when
// C = 1. Cross-entropy (C = 1: with sigmoid); with a log-variance head the sampled cross-entropy of Kendall and Gal,
// equation 12, whose noise comes from `streams` i64 [N,2].
Tensor task_loss(const Model& model, const Output& out, const Tensor& labels, const Tensor& streams = {},
                 const TaskLoss& o = {});

// Forward in Pass::train, backward to the optimizer's parameters, one step. Returns the loss before the step; a
// non-finite loss is an Error and leaves the parameters untouched.
double train_step(const Model& model, Optimizer& optimizer, const Tensor& x, const Tensor& labels,
                  const Tensor& streams, const TaskLoss& o = {});

}  // namespace querent
