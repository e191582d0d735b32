// VGG16 (Simonyan and Zisserman 2015), with and without batch norm, under torchvision's names.
#pragma once
#include <optional>
#include <vector>

#include "layers/conv.h"
#include "layers/dropout.h"
#include "layers/linear.h"
#include "layers/norm.h"
#include "models/output.h"

namespace querent {

struct VggOptions {
  int64_t in_channels = 1, classes = 2;
  int64_t width = 64;  // channels of the first block; later ones have 2, 4, 8 and 8 times as many
  int64_t fc = 4096;   // units of the two hidden linear layers
  double dropout = 0.5;
  bool batch_norm = false;
  bool log_var = false;  // a second output layer for the log-variance of the logits
};

// The convolutions: five blocks, each ended by a 2x2 max-pool.
struct VggFeatures {
  struct Stage {
    std::optional<Conv2d> conv;  // with its ReLU; none: a 2x2 max-pool
    std::optional<BatchNorm2d> norm;
    Tensor operator()(const Tensor& x, const Pass& pass) const;
  };
  static constexpr size_t all = 18, relu4_1 = 11;  // stages up to the last pool, and up to the ReLU of block 4's first
  std::vector<Stage> stages;

  VggFeatures(const Scope& s, const VggOptions& options, size_t count = all);
  Tensor operator()(const Tensor& x, const Pass& pass) const;  // [N,H,W,in_channels] -> [N,H',W',channels]
};

struct Vgg16 {
  VggOptions options;
  VggFeatures features;
  Linear fc1, fc2, fc3;  // classifier.0, .3, .6
  Dropout drop1, drop2;  // classifier.2, .5
  std::optional<Linear> log_var;

  Vgg16(const Scope& s, const VggOptions& options);
  // x [N,H,W,in_channels], H and W at least 32 -> [N,classes]
  Output operator()(const Tensor& x, const Pass& pass) const { return head(trunk(x, pass), pass); }
  Tensors trunk(const Tensor& x, const Pass& pass) const;   // all before the first dropout: [N,fc]
  Tensors stages(const Tensor& x, const Pass& pass) const;  // what the five blocks make, pooled: [N,h,w,C]
  Output head(const Tensors& hidden, const Pass& pass) const;
  Tensor embed(const Tensors& hidden) const;  // what fc3 reads, without dropout: [N,fc]
};

}  // namespace querent
