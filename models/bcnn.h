// The Bayesian convolutional network of Gal, Islam and Ghahramani (ICML 2017) for MNIST, Keras' example with dropout:
//
//   conv 4x4 - relu - conv 4x4 - relu - max-pool 2 - dropout p/2 - dense - relu - dropout p - dense
//
// Nothing before the pool is random, so T Monte-Carlo passes share the convolutions.
#pragma once
#include <optional>

#include "layers/conv.h"
#include "layers/dropout.h"
#include "layers/linear.h"
#include "models/output.h"

namespace querent {

struct BcnnOptions {
  int64_t in_channels = 1, classes = 10;
  int64_t width = 32;    // channels of both convolutions
  int64_t fc = 128;      // hidden units
  double dropout = 0.5;  // before the last layer; half of it after the pool
  bool log_var = false;  // a second output layer for the log-variance of the logits
};

struct Bcnn {
  static constexpr int64_t pooled_size = 11;  // after the pool, for 28x28 pixels; other sizes are averaged to it

  BcnnOptions options;
  Conv2d conv1, conv2;
  Linear fc1, fc2;
  Dropout drop1, drop2;
  std::optional<Linear> log_var;

  Bcnn(const Scope& s, const BcnnOptions& options);
  // x [N,H,W,in_channels], H and W at least 28 -> [N,classes]
  Output operator()(const Tensor& x, const Pass& pass) const { return head(trunk(x, pass), pass); }
  Tensors trunk(const Tensor& x, const Pass& pass) const;   // all before the first dropout: [N,11*11*width]
  Tensors stages(const Tensor& x, const Pass& pass) const;  // what both convolutions make: [N,h,w,width]
  Output head(const Tensors& pooled, const Pass& pass) const;
  Tensor embed(const Tensors& pooled) const;  // what fc2 reads, without dropout: [N,fc]
};

}  // namespace querent
