// An autoencoder of masks, shaped after the context encoder (Pathak et al. 2016); its code z tells the generator of
// Mahapatra et al. (MICCAI 2018, section 2) how the lung is to look. The paper does not give its sizes; these are ours.
//
//   mask ─ 4 x (conv 4x4 stride 2 ─ norm ─ leaky ReLU) ─ channel-wise dense ─ dense ─ norm ─ z
//   logits ─ 4 x (transposed conv 4x4 stride 2) ───────────────────────────── dense ───────┘
//
// The channel-wise dense layer joins all pixels of one channel to a few numbers: a convolution with a group for each
// channel, whose kernel covers the map. With one number a channel, z would hold no more numbers than there are channels,
// however long it is. The norm gives every component of z variance 1 over the masks, so that masks that differ little
// still have codes that differ.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "layers/conv.h"
#include "layers/linear.h"
#include "layers/norm.h"

namespace querent {

struct MaskAutoencoderOptions {
  int64_t size = 128;    // height and width of the masks, a multiple of 16
  int64_t width = 16;    // channels of the first convolution; the others have 2, 4 and 8 times as many
  int64_t latent = 128;  // length of z
  bool operator==(const MaskAutoencoderOptions&) const = default;

  std::string json() const;
  static MaskAutoencoderOptions parse(std::string_view json);  // bad_input when it is not such a description
};

struct MaskAutoencoder {
  MaskAutoencoderOptions options;
  std::vector<Conv2d> down;
  std::vector<BatchNorm2d> down_norms;
  Conv2d gather;  // channel-wise dense
  Linear squeeze;
  BatchNorm2d code_norm;
  Linear expand;
  std::vector<ConvTranspose2d> up;
  std::vector<BatchNorm2d> up_norms;  // after `expand` and after all but the last of `up`
  DType dtype;                        // what it computes in; masks, z and logits are f32

  explicit MaskAutoencoder(const Scope& s, const MaskAutoencoderOptions& options = {});
  Tensor encode(const Tensor& mask, const Pass& pass = {}) const;  // [N,size,size,1] of 0 and 1 -> z [N,latent]
  Tensor decode(const Tensor& z, const Pass& pass = {}) const;     // -> logits [N,size,size,1]
};

// Cross-entropy + (1 - soft Dice) of the decoded mask, a scalar.
Tensor reconstruction_loss(const Tensor& logits, const Tensor& mask);

}  // namespace querent
