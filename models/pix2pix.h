// pix2pix (Isola et al. 2017): a U-Net generator of 4x4 convolutions with stride 2 and the 70x70 PatchGAN, with the
// parameter names of the widespread pytorch-CycleGAN-and-pix2pix, so that its state dicts load. 256x256, width 64:
//
//   x ─ 64 ───────────────────────────────────── 64 ─ tanh
//        └ 128 ─────────────────────────── 128 ─┘
//            └ 256 ─────────────────── 256 ┘
//                └ 512 ─ ... 1x1 ... ─ 512           (depth 8: five levels of 512)
#pragma once
#include <optional>
#include <vector>

#include "layers/conv.h"
#include "layers/dropout.h"
#include "layers/norm.h"

namespace querent {

struct Pix2PixOptions {
  int64_t in_channels = 1, out_channels = 1;
  int64_t width = 64, depth = 8;  // channels after the first convolution; number of halvings
  NormKind norm = NormKind::batch;
  double dropout = 0.5;  // the decoder levels of 8*width inside the outer four, but the innermost
};

// Halvings for images of this height and width: down to 1x1 for powers of two up to 256, and never more than 8.
int64_t pix2pix_depth(int64_t size);

// One halving and the doubling that mirrors it. The outermost level has no norms; the innermost none on the way down,
// where 1x1 pixels have no statistics.
struct Pix2PixLevel {
  Conv2d down;
  std::optional<Norm2d> down_norm;
  ConvTranspose2d up;
  std::optional<Norm2d> up_norm;
  std::optional<Dropout> drop;
  Pix2PixLevel(const Scope& s, const Pix2PixOptions& o, int64_t level);
};

struct Pix2PixGenerator {
  Pix2PixOptions options;
  std::vector<Pix2PixLevel> levels;  // from the outermost to the innermost
  Pix2PixGenerator(const Scope& s, const Pix2PixOptions& options);
  // x [N,H,W,in_channels], H and W multiples of 2^depth -> [N,H,W,out_channels] in -1..1
  Tensor operator()(const Tensor& x, const Pass& pass) const;
};

struct PatchOptions {
  int64_t in_channels = 2;         // condition and image
  int64_t width = 64, layers = 3;  // 3 layers of stride 2: each verdict sees 70x70 pixels
  NormKind norm = NormKind::batch;
};

struct PatchDiscriminator {
  std::vector<Conv2d> convs;
  std::vector<Norm2d> norms;  // after all convolutions but the first and the last
  PatchDiscriminator(const Scope& s, const PatchOptions& options);
  // [N,H,W,in_channels] -> logits [N,h,w,1], one for each patch
  Tensor operator()(const Tensor& x, const Pass& pass) const;
};

}  // namespace querent
