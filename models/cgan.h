// The generator and the discriminator of Mahapatra et al. (MICCAI 2018), after SRGAN (Ledig et al. 2017): residual
// blocks at full resolution, told by a latent vector z (of the mask) how the lung is to look, and eight convolutions
// with two dense layers that judge the pair (condition, image).
//
//   generator   x,z ─ conv 9x9 ─┬─ B residual blocks ─ conv ─ norm ─(+)─ conv 9x9 ─ tanh
//                               └───────────────────────────────────┘
#pragma once
#include <optional>
#include <vector>

#include "layers/conv.h"
#include "layers/linear.h"
#include "layers/norm.h"

namespace querent {

// How z enters. The paper does not say; both ways are ours.
enum class Injection {
  concat,  // a dense layer makes z a map of size/8, which is enlarged and joined to x
  film     // a scale and a shift of every channel in every block (Perez et al. 2018)
};

struct ResidualOptions {
  int64_t in_channels = 1, out_channels = 1;
  int64_t size = 256;       // height and width of the images; concat: a multiple of 8
  int64_t width = 64;       // channels of every block
  int64_t blocks = 6;       // 16 in SRGAN
  int64_t latent = 128;     // length of z; 0: there is none
  int64_t latent_maps = 8;  // concat: channels of the map made of z
  Injection injection = Injection::concat;
  NormKind norm = NormKind::batch;
};

struct ResidualBlock {
  Conv2d conv1;
  Norm2d norm1;
  Conv2d conv2;
  Norm2d norm2;
  std::optional<Linear> gain, shift;  // film
  ResidualBlock(const Scope& s, const ResidualOptions& o);
  Tensor operator()(const Tensor& x, const Tensor& z, const Pass& pass) const;
};

struct ResidualGenerator {
  ResidualOptions options;
  std::optional<Linear> embed;  // concat
  Conv2d conv_in;
  std::vector<ResidualBlock> blocks;
  Conv2d conv_mid;
  Norm2d norm_mid;
  Conv2d conv_out;
  ResidualGenerator(const Scope& s, const ResidualOptions& options);
  // x [N,H,W,in_channels], z [N,latent] -> [N,H,W,out_channels] in -1..1
  Tensor operator()(const Tensor& x, const Tensor& z, const Pass& pass) const;
};

struct DenseOptions {
  int64_t in_channels = 2;  // condition and image
  int64_t size = 256;       // height and width of the images, a multiple of 16: the dense layers fix it
  int64_t width = 64, fc = 1024;
  NormKind norm = NormKind::batch;
};

struct DenseDiscriminator {
  DenseOptions options;
  std::vector<Conv2d> convs;  // 3x3; channels w w 2w 2w 4w 4w 8w 8w, every second one with stride 2
  std::vector<Norm2d> norms;  // after all but the first
  std::vector<Linear> dense;
  DenseDiscriminator(const Scope& s, const DenseOptions& options);
  // [N,size,size,in_channels] -> logits [N,1]
  Tensor operator()(const Tensor& x, const Pass& pass) const;
};

}  // namespace querent
