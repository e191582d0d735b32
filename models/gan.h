// One handle for every conditional GAN: a generator and a discriminator chosen by name, each in Params of its own, so
// that each is a weight file of its own.
#pragma once
#include <functional>
#include <string>
#include <string_view>

#include "layers/params.h"
#include "layers/pass.h"

namespace querent {

// Everything that fixes an architecture; stored as JSON in weight files.
struct GanOptions {
  std::string generator = "unet";       // unet (pix2pix) or residual (Mahapatra et al. 2018)
  std::string discriminator = "patch";  // patch (70x70 PatchGAN) or dense (eight convolutions and one verdict)
  std::string norm = "batch";           // batch or instance
  // residual: how z enters. concat and film (models/cgan.h) take the vector; decoded: z arrives as a channel of the
  // condition, the mask that it decodes to, and the generator takes no vector.
  std::string injection = "concat";
  int64_t size = 256;  // height and width of the images
  int64_t condition_channels = 1, image_channels = 1;
  int64_t width = 64, judge_width = 64;  // channels of the first convolution of generator and discriminator
  int64_t depth = 0;                     // unet: halvings; 0: by size, down to 1x1 but at most 8
  int64_t blocks = 6;                    // residual
  int64_t latent = 0;                    // residual: length of z; 0: there is none
  int64_t latent_maps = 8;               // residual, concat: channels made of z
  int64_t judge_layers = 3, fc = 1024;   // patch: layers of stride 2; dense: width of the dense layer
  double dropout = 0.5;                  // unet
  bool operator==(const GanOptions&) const = default;

  std::string json() const;
  static GanOptions parse(std::string_view json);  // bad_input when it is not such a description
};

// A handle: copying shares the networks. Lives no longer than the Params it was built in.
struct Gan {
  // condition [N,H,W,condition_channels], latent [N,latent] or none -> image [N,H,W,image_channels] in -1..1.
  // The noise of pix2pix is its dropout: Pass::mc_dropout draws it, Pass::eval does without.
  std::function<Tensor(const Tensor& condition, const Tensor& latent, const Pass& pass)> generate;
  // The pair -> logits of "this image is real", [N,h,w,1] for patches or [N,1].
  std::function<Tensor(const Tensor& condition, const Tensor& image, const Pass& pass)> judge;
  GanOptions options;  // with every default filled in
};

Gan make_gan(const GanOptions& options, Params& generator, Params& discriminator);
// One of the two alone, to use a finished one: then `judge`, or `generate`, is empty.
Gan make_generator(const GanOptions& options, Params& generator);
Gan make_discriminator(const GanOptions& options, Params& discriminator);

}  // namespace querent
