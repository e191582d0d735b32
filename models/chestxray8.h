// The network of ChestX-ray8 (Wang et al., CVPR 2017): findings from the labels of whole films, and where they are from
// the weights of the last layer.
//
//   ResNet18's stages - transition (1x1 convolution, norm, ReLU) - pooling - linear - a logit for each finding
//
//   heat map of finding c at (i,j) = sum_d w[c,d] a[i,j,d],  a the activations of the transition
#pragma once
#include <string>

#include "models/resnet.h"

namespace querent {

struct ChestXray8Options {
  enum Pooling { lse, average, max };
  int64_t findings = 1, width = 64, in_channels = 1;
  bool small_stem = false;  // ResNet18's for small images
  Pooling pooling = lse;
  double r = 10;  // of lse
};
ChestXray8Options::Pooling parse_pooling(const std::string& name);  // "lse", "average", "max"

struct ChestXray8 {
  ChestXray8Options options;
  ResNet18 backbone;  // its fc reads the pooled transition
  Conv2d transition;
  BatchNorm2d norm;
  DType dtype;  // what activations() computes in; what it takes and gives is f32

  ChestXray8(const Scope& s, const ChestXray8Options& options);
  Tensor activations(const Tensor& x, const Pass& pass) const;  // [N,H,W,in_channels] -> [N,h,w,8*width]
  Tensor logits(const Tensor& activations) const;               // [N,findings]
  Tensor heat_maps(const Tensor& activations) const;            // [N,h,w,findings]
};

// Equation 1: each element's weight in the cross-entropy, beta_P = (|P|+|N|)/|P| where `target` is 1 and beta_N =
// (|P|+|N|)/|N| where it is 0; |P| and |N| count the ones and zeros of all findings of the batch. target [N,C]; made on
// the host, before the step. The mean of bce_with_logits() instead of the paper's sum is |P|+|N| times smaller.
Tensor balanced_weights(const Tensor& target);

}  // namespace querent
