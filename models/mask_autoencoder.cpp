#include "models/mask_autoencoder.h"

#include <nlohmann/json.hpp>

#include "layers/resample.h"
#include "tensor/backend.h"
#include "tensor/json.h"

namespace querent {
namespace {

constexpr int64_t levels = 4, stride = int64_t{1} << levels;
constexpr int64_t gathered = 8;  // numbers that the channel-wise dense layer makes of one channel
constexpr double slope = 0.2;    // of leaky ReLU
const ConvOptions halving{.kernel = 4, .stride = 2, .padding = 1, .bias = false};

MaskAutoencoderOptions checked(const MaskAutoencoderOptions& o) {
  check(o.size > 0 && o.size % stride == 0 && o.width > 0 && o.latent > 0,
        "mask autoencoder: the size must be a multiple of {}, width and latent at least 1; got size={} width={} "
        "latent={}",
        stride, o.size, o.width, o.latent);
  return o;
}
int64_t deepest(const MaskAutoencoderOptions& o) { return o.width << (levels - 1); }
int64_t side(const MaskAutoencoderOptions& o) { return o.size / stride; }

}  // namespace

std::string MaskAutoencoderOptions::json() const {
  return dump_json(nlohmann::json{{"size", size}, {"width", width}, {"latent", latent}});
}

MaskAutoencoderOptions MaskAutoencoderOptions::parse(std::string_view text_of_options) {
  const nlohmann::json j = parse_json(text_of_options);
  const auto field = [&](const char* name) {
    constexpr int64_t limit = 1 << 12;  // a file may not ask for unbounded memory
    const bool whole = j.is_object() && j.contains(name) && j[name].is_number_integer();
    const int64_t value = whole ? j[name].get<int64_t>() : 0;
    check(value > 0 && value <= limit, "mask autoencoder: '{}' must be a whole number in 1..{} in {}", name, limit,
          text_of_options.substr(0, 200));
    return value;
  };
  return checked({field("size"), field("width"), field("latent")});
}

MaskAutoencoder::MaskAutoencoder(const Scope& s, const MaskAutoencoderOptions& o)
    : options(checked(o)),
      gather(s.sub("gather"), deepest(o), deepest(o) * gathered,
             {.kernel = side(o), .groups = deepest(o), .bias = false}),
      squeeze(s.sub("squeeze"), deepest(o) * gathered, o.latent),
      code_norm(s.sub("code_norm"), o.latent),
      expand(s.sub("expand"), o.latent, side(o) * side(o) * deepest(o)),
      dtype(compute_dtype()) {
  up_norms.emplace_back(s.sub("up_norms.0"), deepest(o));
  for (int64_t k = 0; k < levels; ++k) {
    const std::string number = std::to_string(k), next = std::to_string(k + 1);
    const int64_t channels = o.width << k, above = deepest(o) >> k;
    const bool last = k + 1 == levels;
    down.emplace_back(s.sub("down." + number), k == 0 ? 1 : channels / 2, channels, halving);
    down_norms.emplace_back(s.sub("down_norms." + number), channels);
    ConvOptions doubling = halving;
    doubling.bias = last;
    up.emplace_back(s.sub("up." + number), above, last ? 1 : above / 2, doubling);
    if (!last) up_norms.emplace_back(s.sub("up_norms." + next), above / 2);
  }
}

Tensor MaskAutoencoder::encode(const Tensor& mask, const Pass& pass) const {
  const int64_t n = mask.rank() == 4 ? mask.dim(0) : 0;
  check(n > 0 && mask.shape() == Shape{n, options.size, options.size, 1},
        "mask autoencoder: masks must be [N,{},{},1], got {}", options.size, options.size, mask);
  Tensor y = enters(scale(mask, 2, -1), dtype);
  for (size_t k = 0; k < down.size(); ++k) y = leaky_relu(down_norms[k](down[k](y), pass), slope);
  return leaves(code_norm(squeeze(flatten(gather(y))), pass));
}

Tensor MaskAutoencoder::decode(const Tensor& z, const Pass& pass) const {
  check(z.rank() == 2 && z.dim(1) == options.latent, "mask autoencoder: z must be [N,{}], got {}", options.latent, z);
  Tensor y = reshape(expand(enters(z, dtype)), {z.dim(0), side(options), side(options), deepest(options)});
  for (size_t k = 0; k < up.size(); ++k) y = up[k](relu(up_norms[k](y, pass)));
  return leaves(y);
}

Tensor reconstruction_loss(const Tensor& logits, const Tensor& mask) {
  return add(bce_with_logits(logits, mask), soft_dice_loss(sigmoid(logits), mask));
}

}  // namespace querent
