// What determines a trained synthesizer: the flags of `querent synth train`, kept in the folder's config.json.
#pragma once
#include <cstdint>
#include <string>

#include "models/gan.h"

namespace querent::al {

struct SynthesisOptions {
  // paper: the residual generator told by z = encode(m'), the dense discriminator, the content loss (Mahapatra et al.,
  // MICCAI 2018). pix2pix: the U-Net generator and the PatchGAN with the mask as a channel, mean absolute difference
  // (Isola et al. 2017).
  std::string gan = "paper";
  // What generator and discriminator are told: film+mask, a film and the mask it is to get, so that the film made is
  // one of the same patient; mask (pix2pix), the mask alone, as in its label maps to photos: a film of nobody.
  std::string condition = "film+mask";
  std::string loss = "logistic";     // logistic or lsgan
  std::string norm = "batch";        // batch or instance
  int64_t size = 128;                // height and width of the films, a multiple of 16, at least 32
  int64_t width = 32;                // channels of the first convolution of generator and discriminator
  int64_t blocks = 4, latent = 256;  // paper: residual blocks, length of z
  // paper: how z reaches the generator: decoded, as the mask that the frozen decoder makes of it, beside the film;
  // concat, as a small map that the generator learns to make of it; film, as a gain and a shift of every channel. The
  // paper does not say; with the latter two the generator learns to leave z aside, as a displaced boundary moves z by
  // a tenth of the distance between two patients.
  std::string injection = "decoded";
  int64_t steps = 2000, batch = 4;
  int64_t autoencoder_steps = 600;  // paper: batches of 16 masks before the GAN starts
  double lr = 2e-4;                 // Adam of both networks; falls linearly to 0 over the second half
  double lambda = 0;                // weight of the content loss; 0: 10 for paper, 100 for pix2pix
  double nmi = 1.0 / 3, vgg = 1.0 / 3, mse = 1.0 / 3, saliency = 0;  // paper: weights of its terms
  std::string vgg_weights;                                           // of the VGG term; empty: the term is off
  double identity = 0.3;  // share of pairs with the mask and the film as they are
  uint64_t seed = 1;

  double content_weight() const { return lambda > 0 ? lambda : gan == "paper" ? 10 : 100; }
  bool mask_alone() const { return condition == "mask"; }
  double vgg_weight() const { return vgg_weights.empty() ? 0 : vgg; }
  bool operator==(const SynthesisOptions&) const = default;
  std::string json() const;
};

// Errors: a value out of range, with the flag to change.
void check_options(const SynthesisOptions& o);
GanOptions gan_architecture(const SynthesisOptions& o);

}  // namespace querent::al
