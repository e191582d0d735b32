// The content loss of the image generator (Mahapatra et al., MICCAI 2018): how far a generated image x is from its
// target y in the statistics of its grey values, in what VGG16 sees, and in its pixels. The paper adds NMI itself;
// minimising that would make images less alike, so 1 - NMI stands in the sum:
//   L = nmi (1 - NMI(x,y)) + vgg mean (f(x) - f(y))^2 + mse mean (x - y)^2 + saliency mean_n sum S (x-y)^2 / sum S
// f is relu4_1 of VGG16. The fourth term weighs each pixel by a map S (Mahapatra et al., MICCAI 2017, which has no
// NMI):
//   {.nmi = 0, .saliency = 1.0 / 3} for that paper's three, {.mse = 0, .saliency = 1.0 / 3} to weigh this one's pixels.
#pragma once
#include <filesystem>
#include <vector>

#include "models/vgg.h"

namespace querent {

// VGG16 up to relu4_1, for grey images: [N,H,W,1] -> [N,H/8,W/8,8*width]. Three input channels are three copies of the
// image, each normalised as torchvision's ImageNet weights expect; a network trained on grey images has one, and its
// own mean and deviation.
struct ContentFeatures {
  VggFeatures vgg;
  std::vector<double> mean, deviation;  // per input channel, of grey values in [0,1]
  DType dtype;                          // what it computes in; images and features are f32

  explicit ContentFeatures(const Scope& s, const VggOptions& options = {.in_channels = 3});
  // Greys from low (black) to high (white); H and W at least 8.
  Tensor operator()(const Tensor& grey, double low = 0, double high = 1) const;
};
// Fills `params`, which hold ContentFeatures at their root and nothing else, from weights with torchvision's names; the
// layers above relu4_1 are not read.
void load_content_weights(Params& params, const std::filesystem::path& path);
// The same from a file alone: torchvision's vgg16, or a vgg16 that `querent train` wrote, whose channels, width and
// normalisation its metadata say. `params` must be empty and live as long as what is returned.
ContentFeatures open_content_features(Params& params, const std::filesystem::path& path);

// A bottom-up saliency map: how far the mean grey near a pixel is from that of its wider surroundings, after the
// centre-surround differences of Itti, Koch and Niebur 1998 (intensity channel only),
//   S = sum over s in {32, 16, 8} of |C_s - C_{s/4}|,   C_s: images averaged to s x s cells and enlarged again,
//   bilinear
// [N,H,W,1], H and W at least 32 -> [N,H,W,1] >= 0; a uniform image has 0 everywhere. No gradient.
Tensor saliency_map(const Tensor& images);

struct ContentLossOptions {
  double nmi = 1.0 / 3, vgg = 1.0 / 3, mse = 1.0 / 3, saliency = 0;  // weights; a term with weight 0 is not computed
  double low = 0, high = 1;  // the greys of black and white; -1 and 1 after tanh
  int64_t bins = 32;         // of the soft histograms
  int64_t nmi_size =
      128;  // NMI is taken on images averaged down to this height and width; its time grows with the pixels
};

struct ContentTerms {
  Tensor total;                    // the weighted sum
  Tensor nmi, vgg, mse, saliency;  // each term before its weight (nmi: 1 - NMI); none when its weight is 0
};

// generated, target [N,H,W,1] of one range; gradients flow to `generated` alone. `features` is needed where vgg > 0,
// `map` [N,H,W,1] >= 0 where saliency > 0; an image whose map is all zero adds nothing to that term.
ContentTerms content_loss(const Tensor& generated, const Tensor& target, const ContentLossOptions& options = {},
                          const ContentFeatures* features = nullptr, const Tensor& map = {});

}  // namespace querent
