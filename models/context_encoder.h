// The context encoder of Pathak et al. (CVPR 2016), smaller: what is missing in the middle of an image from what is
// round it.
//
//   image [N,S,S,1] ─ 4 x (conv 4x4 stride 2, norm, leaky ReLU) ─ channel-wise dense ─ 1x1 conv ─ 3 x up ─ centre
//   [N,S/2,S/2,1]
//
// The channel-wise dense layer joins every pixel of a channel to every pixel of the same channel: a grouped convolution
// that covers the map makes as many numbers as the map has pixels, and a grouped transposed convolution lays them out
// again. Greys are in -1..1.
#pragma once
#include <vector>

#include "layers/conv.h"
#include "layers/norm.h"
#include "models/gan.h"

namespace querent {

struct ContextEncoderOptions {
  int64_t size = 64;   // S, a multiple of 16
  int64_t width = 16;  // channels of the first convolution
};

struct ContextEncoder {
  ContextEncoderOptions options;
  std::vector<Conv2d> down;
  std::vector<BatchNorm2d> down_norms;  // but the first
  Conv2d gather;
  Tensor scatter;  // [C*s*s,s,s,1] for maps of s x s
  BatchNorm2d scatter_norm;
  Conv2d mix;
  BatchNorm2d mix_norm;
  std::vector<ConvTranspose2d> up;
  std::vector<BatchNorm2d> up_norms;  // but the last

  ContextEncoder(const Scope& s, const ContextEncoderOptions& o);
  Tensor channelwise(const Tensor& maps) const;  // [N,s,s,C] -> [N,s,s,C]
  Tensor operator()(const Tensor& image, const Pass& pass) const;
};

// The encoder, and a discriminator of the centre alone: 3 x (conv 4x4 stride 2, norm, leaky ReLU), then one verdict.
// The condition of the Gan is the image with the hole.
Gan make_context_gan(const ContextEncoderOptions& o, Params& encoder, Params& discriminator);

}  // namespace querent
