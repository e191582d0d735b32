// The fully connected GAN of Goodfellow et al. (NeurIPS 2014), without a condition: what a Gan (gan.h) calls the
// condition is here the noise z [N,latent], and images are rows [N,pixels] with values in 0..1.
//
//   z - 2 x (linear, norm, ReLU) - linear - sigmoid
//   image - 2 x (linear, leaky ReLU, dropout) - linear: one logit
//
// The batch norm is not in the paper: without it the generator made one image of every z and the discriminator won.
#pragma once
#include "models/gan.h"

namespace querent {

struct DenseGanOptions {
  int64_t latent = 100, hidden = 256, pixels = 784;
  double dropout = 0.3;  // of the discriminator
};
Gan make_dense_gan(const DenseGanOptions& options, Params& generator, Params& discriminator);

}  // namespace querent
