// ResNet18 (He et al. 2016) under torchvision's names.
#pragma once
#include <optional>
#include <vector>

#include "layers/conv.h"
#include "layers/dropout.h"
#include "layers/linear.h"
#include "layers/norm.h"
#include "models/output.h"

namespace querent {

struct ResNetOptions {
  int64_t in_channels = 1, classes = 2;
  int64_t width = 64;       // channels of the first stage; the next three have 2, 4 and 8 times as many
  double dropout = 0;       // before the last layer: the only place a Bayesian reading has
  bool small_stem = false;  // for small images: a 3x3 stride-1 first convolution and no first pool
  bool log_var = false;     // a second output layer for the log-variance of the logits
};

// y = relu(F(x) + x), F = conv3x3, norm, relu, conv3x3, norm; x through a 1x1 convolution where the shapes differ.
struct BasicBlock {
  Conv2d conv1;
  BatchNorm2d bn1;
  Conv2d conv2;
  BatchNorm2d bn2;
  std::optional<Conv2d> shortcut_conv;
  std::optional<BatchNorm2d> shortcut_norm;
  BasicBlock(const Scope& s, int64_t cin, int64_t cout, int64_t stride);
  Tensor operator()(const Tensor& x, const Pass& pass) const;
};

struct ResNet18 {
  ResNetOptions options;
  Conv2d conv1;
  BatchNorm2d bn1;
  std::vector<BasicBlock> blocks;  // layer1.0, layer1.1, layer2.0, ... layer4.1
  Linear fc;
  Dropout drop;
  std::optional<Linear> log_var;

  ResNet18(const Scope& s, const ResNetOptions& options);
  // x [N,H,W,in_channels] -> [N,classes]
  Output operator()(const Tensor& x, const Pass& pass) const { return head(trunk(x, pass), pass); }
  Tensors trunk(const Tensor& x, const Pass& pass) const;   // pooled features [N,8*width]
  Tensors stages(const Tensor& x, const Pass& pass) const;  // what layer1 to layer4 make: [N,h,w,width << i]
  Output head(const Tensors& features, const Pass& pass) const;
  Tensor embed(const Tensors& features) const { return features[0]; }  // what fc reads: [N,8*width]
};

}  // namespace querent
