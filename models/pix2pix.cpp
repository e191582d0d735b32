#include "models/pix2pix.h"

#include <algorithm>
#include <bit>
#include <string>

namespace querent {
namespace {

constexpr double slope = 0.2;        // of leaky ReLU
constexpr int64_t dropout_from = 4;  // the first level that may have dropout: the outer four double the width

// DCGAN's initial values; a bias that a batch norm would cancel is left out.
ConvOptions conv4x4(int64_t stride, bool bias) {
  return {.kernel = 4, .stride = stride, .padding = 1, .bias = bias, .init = Init::gaussian(0.02), .zero_bias = true};
}
bool bias_before(NormKind norm) { return norm == NormKind::instance; }

int64_t channels(int64_t width, int64_t level) { return width << std::min<int64_t>(level, 3); }

// "model.model.1.model.3.model" for level 2: the published modules are nested, the next level inside each.
Scope level_scope(const Scope& s, int64_t level) {
  std::string name = "model.model";
  for (int64_t k = 0; k < level; ++k) name += k == 0 ? ".1.model" : ".3.model";
  return s.sub(name);
}

// Where the modules of one level stand in its sequence; activations take a number too.
struct Places {
  const char *down, *down_norm, *up, *up_norm;
};
Places places(const Pix2PixOptions& o, int64_t level) {
  if (level == 0) return {"0", "", "3", ""};
  if (level == o.depth - 1) return {"1", "", "3", "4"};
  return {"1", "2", "5", "6"};
}

Pix2PixOptions checked(const Pix2PixOptions& o) {
  check(o.width > 0 && o.in_channels > 0 && o.out_channels > 0 && o.depth >= 2 && o.depth <= 10,
        "pix2pix: width and channels must be at least 1 and depth 2 to 10; got width={} depth={}", o.width, o.depth);
  return o;
}

}  // namespace

int64_t pix2pix_depth(int64_t size) {
  check(size > 0 && size % 4 == 0, "pix2pix: the image size must be a multiple of 4, got {}", size);
  return std::min(8, std::countr_zero(static_cast<uint64_t>(size)));
}

Pix2PixLevel::Pix2PixLevel(const Scope& s, const Pix2PixOptions& o, int64_t level)
    : down(s.sub(places(o, level).down), level == 0 ? o.in_channels : channels(o.width, level - 1),
           channels(o.width, level), conv4x4(2, level > 0 && bias_before(o.norm))),
      up(s.sub(places(o, level).up), channels(o.width, level) * (level == o.depth - 1 ? 1 : 2),
         level == 0 ? o.out_channels : channels(o.width, level - 1), conv4x4(2, level == 0 || bias_before(o.norm))) {
  const bool innermost = level == o.depth - 1;
  if (level > 0 && !innermost) down_norm.emplace(s.sub(places(o, level).down_norm), channels(o.width, level), o.norm);
  if (level > 0) up_norm.emplace(s.sub(places(o, level).up_norm), channels(o.width, level - 1), o.norm);
  if (level >= dropout_from && !innermost) drop.emplace(s.sub("7"), o.dropout);
}

Pix2PixGenerator::Pix2PixGenerator(const Scope& s, const Pix2PixOptions& o) : options(checked(o)) {
  for (int64_t k = 0; k < o.depth; ++k) levels.emplace_back(level_scope(s, k), o, k);
}

Tensor Pix2PixGenerator::operator()(const Tensor& x, const Pass& pass) const {
  const int64_t stride = int64_t{1} << options.depth;
  check(x.rank() == 4 && x.dim(3) == options.in_channels && x.numel() > 0, "pix2pix: x must be [N,H,W,{}], got {}",
        options.in_channels, x);
  check(x.dim(1) % stride == 0 && x.dim(2) % stride == 0,
        "pix2pix: height and width must be multiples of {} for depth {}, got {}; resize the images or lower the depth",
        stride, options.depth, x);
  Tensors skips;
  for (const Pix2PixLevel& level : levels) {
    const Tensor y = level.down(skips.empty() ? x : leaky_relu(skips.back(), slope));
    skips.push_back(level.down_norm ? (*level.down_norm)(y, pass) : y);
  }
  Tensor y = skips.back();
  for (size_t k = levels.size(); k-- > 0;) {
    const Pix2PixLevel& level = levels[k];
    y = level.up(relu(y));
    if (level.up_norm) y = (*level.up_norm)(y, pass);
    if (level.drop) y = (*level.drop)(y, pass);
    if (k > 0) y = concat({skips[k - 1], y});
  }
  return tanh(y);
}

PatchDiscriminator::PatchDiscriminator(const Scope& s, const PatchOptions& o) {
  check(o.width > 0 && o.in_channels > 0 && o.layers >= 1 && o.layers <= 8,
        "patch discriminator: width and channels must be at least 1 and layers 1 to 8; got width={} layers={}", o.width,
        o.layers);
  int64_t place = 0, cin = o.in_channels;
  const auto next = [&] { return s.sub("model." + std::to_string(place)); };
  for (int64_t k = 0; k <= o.layers; ++k) {
    const int64_t cout = channels(o.width, k);
    convs.emplace_back(next(), cin, cout, conv4x4(k < o.layers ? 2 : 1, k == 0 || bias_before(o.norm)));
    ++place;
    if (k > 0) norms.emplace_back(next(), cout, o.norm), ++place;
    ++place;  // leaky ReLU
    cin = cout;
  }
  convs.emplace_back(next(), cin, 1, conv4x4(1, true));
}

Tensor PatchDiscriminator::operator()(const Tensor& x, const Pass& pass) const {
  Tensor y = leaky_relu(convs[0](x), slope);
  for (size_t k = 1; k + 1 < convs.size(); ++k) y = leaky_relu(norms[k - 1](convs[k](y), pass), slope);
  return convs.back()(y);
}

}  // namespace querent
