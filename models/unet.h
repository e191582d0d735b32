// U-Net (Ronneberger, Fischer and Brox 2015) with the parameter names of the widespread milesial implementation.
//
//   x ─ inc ──────────────────────────── up4 ─ outc ─ logits
//        └ down1 ───────────────── up3 ─┘
//            └ down2 ────────── up2 ┘
//                └ down3 ─ up1 ─┘            (depth 4: down4 at the bottom)
//                   └ down4 ┘
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "layers/conv.h"
#include "layers/dropout.h"
#include "layers/norm.h"
#include "models/output.h"

namespace querent {

struct UNetOptions {
  int64_t in_channels = 1, classes = 1;
  int64_t width = 64, depth = 4;  // channels at full resolution; number of halvings
  double dropout = 0;             // the two deepest levels of both paths, as in Bayesian SegNet (Kendall et al. 2015)
  bool log_var = false;           // a second 1x1 head for the log-variance of the logits
};

// (convolution 3x3, batch norm, ReLU) twice.
struct DoubleConv {
  Conv2d conv1;
  BatchNorm2d norm1;
  Conv2d conv2;
  BatchNorm2d norm2;
  DoubleConv(const Scope& s, int64_t cin, int64_t cout);
  Tensor operator()(const Tensor& x, const Pass& pass) const { return rest(conv1(x), pass); }
  Tensor rest(const Tensor& y, const Pass& pass) const;  // all after the first convolution
};

// One step of the expanding path: double the size, join the skip connection, convolve. Outside of training the first
// convolution is the sum of one over the skip connection and one over the rest: the former is the same in every
// Monte-Carlo pass, and a Program computes it once (models/inference.h).
struct Up {
  ConvTranspose2d up;
  DoubleConv conv;
  Up(const Scope& s, int64_t cin, int64_t cout);
  Tensor operator()(const Tensor& x, const Tensor& skip, const Pass& pass) const;
};

// With Pass::recompute = N > 0 a training step keeps of the N outermost levels what comes in and goes out, and elsewhere
// the results of convolutions; backward computes the rest again, with the same bits. The outermost level of the expanding
// path counts as elsewhere: backward begins with it as soon as it is computed.
struct UNet {
  UNetOptions options;
  DoubleConv inc;
  std::vector<DoubleConv> down;
  std::vector<Up> up;
  std::vector<Dropout> drop;  // encoder level depth-1, bottom, first and second decoder level
  Conv2d outc;
  std::optional<Conv2d> log_var;

  UNet(const Scope& s, const UNetOptions& options);
  // x [N,H,W,in_channels], H and W multiples of stride() -> [N,H,W,classes]
  Output operator()(const Tensor& x, const Pass& pass) const { return head(trunk(x, pass), pass); }
  int64_t stride() const { return int64_t{1} << options.depth; }

  // The part before the first dropout site, which all Monte-Carlo passes share, and the rest.
  Tensors trunk(const Tensor& x, const Pass& pass) const;  // the skip connections down to level depth-1, before dropout
  Output head(Tensors skips, const Pass& pass) const;
  Tensors stages(const Tensor& x, const Pass& pass) const;  // the contracting path with its bottleneck, no dropout
  Tensor embed(const Tensors& skips) const;  // global average of the bottleneck, without dropout: [N, width << depth]
};

// Names in the torch.hub "brain-segmentation" checkpoint -> ours, and the filters whose concat order differs there.
std::string unet_name_from_brain(const std::string& name);
bool unet_is_first_after_concat(const std::string& name);

}  // namespace querent
