#include "models/dense_gan.h"

#include "layers/dropout.h"
#include "layers/linear.h"
#include "layers/norm.h"

namespace querent {
namespace {

constexpr double leak = 0.2;  // slope of leaky ReLU below 0
const LinearOptions hidden_layer{.init = Init::kaiming(), .zero_bias = true};

struct NoiseToImage {
  Linear fc1, fc2, fc3;
  BatchNorm2d norm1, norm2;
  NoiseToImage(const Scope& s, const DenseGanOptions& o)
      : fc1(s.sub("fc1"), o.latent, o.hidden, hidden_layer),
        fc2(s.sub("fc2"), o.hidden, o.hidden, hidden_layer),
        fc3(s.sub("fc3"), o.hidden, o.pixels),
        norm1(s.sub("norm1"), o.hidden),
        norm2(s.sub("norm2"), o.hidden) {}
  Tensor operator()(const Tensor& z, const Pass& pass) const {
    return sigmoid(fc3(relu(norm2(fc2(relu(norm1(fc1(z), pass))), pass))));
  }
};

struct ImageJudge {
  Linear fc1, fc2, fc3;
  Dropout drop1, drop2;
  ImageJudge(const Scope& s, const DenseGanOptions& o)
      : fc1(s.sub("fc1"), o.pixels, o.hidden, hidden_layer),
        fc2(s.sub("fc2"), o.hidden, o.hidden, hidden_layer),
        fc3(s.sub("fc3"), o.hidden, 1),
        drop1(s.sub("drop1"), o.dropout),
        drop2(s.sub("drop2"), o.dropout) {}
  Tensor operator()(const Tensor& x, const Pass& pass) const {
    const Tensor y = drop1(leaky_relu(fc1(x), leak), pass);
    return fc3(drop2(leaky_relu(fc2(y), leak), pass));
  }
};

}  // namespace

Gan make_dense_gan(const DenseGanOptions& o, Params& generator, Params& discriminator) {
  check(o.latent > 0 && o.hidden > 0 && o.pixels > 0, "dense gan: latent, hidden and pixels must be at least 1");
  const NoiseToImage g(generator.root(), o);
  const ImageJudge d(discriminator.root(), o);
  generator.all(), discriminator.all();
  Gan gan;
  gan.generate = [g](const Tensor& z, const Tensor&, const Pass& pass) { return g(z, pass); };
  gan.judge = [d](const Tensor&, const Tensor& x, const Pass& pass) { return d(x, pass); };
  return gan;
}

}  // namespace querent
