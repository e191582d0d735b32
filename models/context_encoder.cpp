#include "models/context_encoder.h"

#include <memory>

namespace querent {
namespace {

constexpr int64_t levels = 4, stride = int64_t{1} << levels;
constexpr double below_zero = 0.2;  // slope of leaky ReLU
const ConvOptions halving{.kernel = 4, .stride = 2, .padding = 1, .bias = false};

ContextEncoderOptions checked(const ContextEncoderOptions& o) {
  check(o.size > 0 && o.size % stride == 0 && o.width > 0,
        "context encoder: the size must be a multiple of {} and the width at least 1; got size={} width={}", stride,
        o.size, o.width);
  return o;
}
int64_t deepest(const ContextEncoderOptions& o) { return o.width << (levels - 1); }
int64_t side(const ContextEncoderOptions& o) { return o.size / stride; }

struct CentreDiscriminator {
  std::vector<Conv2d> down;
  std::vector<BatchNorm2d> norms;
  Conv2d verdict;
  CentreDiscriminator(const Scope& s, const ContextEncoderOptions& o)
      : verdict(s.sub("verdict"), o.width << 2, 1, {.kernel = side(o)}) {
    for (int64_t k = 0; k < 3; ++k) {
      down.emplace_back(s.sub("down." + std::to_string(k)), k == 0 ? 1 : o.width << (k - 1), o.width << k, halving);
      if (k > 0) norms.emplace_back(s.sub("norms." + std::to_string(k)), o.width << k);
    }
  }
  Tensor operator()(const Tensor& centre, const Pass& pass) const {
    Tensor y = centre;
    for (size_t k = 0; k < down.size(); ++k) {
      y = down[k](y);
      y = leaky_relu(k > 0 ? norms[k - 1](y, pass) : y, below_zero);
    }
    return verdict(y);
  }
};

}  // namespace

ContextEncoder::ContextEncoder(const Scope& s, const ContextEncoderOptions& o)
    : options(checked(o)),
      gather(s.sub("gather"), deepest(o), deepest(o) * side(o) * side(o),
             {.kernel = side(o), .groups = deepest(o), .bias = false}),
      scatter(s.sub("scatter").parameter("weight", {deepest(o) * side(o) * side(o), side(o), side(o), 1},
                                         Init::flat(1.0 / static_cast<double>(side(o))), {FileLayout::conv})),
      scatter_norm(s.sub("scatter_norm"), deepest(o)),
      mix(s.sub("mix"), deepest(o), deepest(o), {.kernel = 1, .bias = false}),
      mix_norm(s.sub("mix_norm"), deepest(o)) {
  for (int64_t k = 0; k < levels; ++k) {
    const std::string number = std::to_string(k);
    const int64_t channels = o.width << k;
    down.emplace_back(s.sub("down." + number), k == 0 ? 1 : channels / 2, channels, halving);
    if (k > 0) down_norms.emplace_back(s.sub("down_norms." + number), channels);
  }
  for (int64_t k = 0; k + 1 < levels; ++k) {
    const std::string number = std::to_string(k);
    const bool last = k + 2 == levels;
    const int64_t channels = deepest(o) >> k;
    ConvOptions doubling = halving;
    doubling.bias = last;
    up.emplace_back(s.sub("up." + number), channels, last ? 1 : channels / 2, doubling);
    if (!last) up_norms.emplace_back(s.sub("up_norms." + number), channels / 2);
  }
}

Tensor ContextEncoder::channelwise(const Tensor& maps) const {
  return conv_transpose2d(gather(maps), scatter, {}, {.groups = deepest(options)});
}

Tensor ContextEncoder::operator()(const Tensor& image, const Pass& pass) const {
  Tensor y = image;
  for (size_t k = 0; k < down.size(); ++k) {
    y = down[k](y);
    y = leaky_relu(k > 0 ? down_norms[k - 1](y, pass) : y, below_zero);
  }
  y = relu(scatter_norm(channelwise(y), pass));
  y = relu(mix_norm(mix(y), pass));
  for (size_t k = 0; k < up.size(); ++k) {
    y = up[k](y);
    y = k + 1 < up.size() ? relu(up_norms[k](y, pass)) : tanh(y);
  }
  return y;
}

Gan make_context_gan(const ContextEncoderOptions& o, Params& encoder, Params& discriminator) {
  const auto net = std::make_shared<ContextEncoder>(encoder.root(), o);
  const auto judge = std::make_shared<CentreDiscriminator>(discriminator.root(), o);
  encoder.all(), discriminator.all();
  Gan gan;
  gan.generate = [net](const Tensor& image, const Tensor&, const Pass& pass) { return (*net)(image, pass); };
  gan.judge = [judge](const Tensor&, const Tensor& centre, const Pass& pass) { return (*judge)(centre, pass); };
  return gan;
}

}  // namespace querent
