#include "models/cgan.h"

#include <string>

#include "layers/resample.h"

namespace querent {
namespace {

constexpr double slope = 0.2;         // of leaky ReLU
constexpr int64_t map_stride = 8;     // the map made of z is this much smaller than the image
constexpr int64_t dense_stride = 16;  // four convolutions of stride 2
const Init small = Init::gaussian(0.02);

ConvOptions same(int64_t kernel, bool bias = true, int64_t stride = 1) {
  return {.kernel = kernel, .stride = stride, .padding = kernel / 2, .bias = bias, .init = small, .zero_bias = true};
}
bool bias_before(NormKind norm) { return norm == NormKind::instance; }

bool joins(const ResidualOptions& o) { return o.latent > 0 && o.injection == Injection::concat; }

ResidualOptions checked(const ResidualOptions& o) {
  check(o.width > 0 && o.in_channels > 0 && o.out_channels > 0 && o.blocks >= 1 && o.latent >= 0 && o.latent_maps > 0,
        "residual generator: width, blocks, maps and channels must be at least 1 and latent at least 0; got width={} "
        "blocks={} latent={}",
        o.width, o.blocks, o.latent);
  check(!joins(o) || (o.size > 0 && o.size % map_stride == 0),
        "residual generator: the image size must be a multiple of {}, got {}", map_stride, o.size);
  return o;
}

std::vector<ResidualBlock> make_blocks(const Scope& s, const ResidualOptions& o) {
  std::vector<ResidualBlock> blocks;
  for (int64_t k = 0; k < o.blocks; ++k) blocks.emplace_back(s.sub("blocks." + std::to_string(k)), o);
  return blocks;
}

}  // namespace

ResidualBlock::ResidualBlock(const Scope& s, const ResidualOptions& o)
    : conv1(s.sub("conv1"), o.width, o.width, same(3, bias_before(o.norm))),
      norm1(s.sub("norm1"), o.width, o.norm),
      conv2(s.sub("conv2"), o.width, o.width, same(3, bias_before(o.norm))),
      norm2(s.sub("norm2"), o.width, o.norm) {
  if (o.latent == 0 || o.injection != Injection::film) return;
  gain.emplace(s.sub("gain"), o.latent, o.width, LinearOptions{.init = small, .zero_bias = true});
  shift.emplace(s.sub("shift"), o.latent, o.width, LinearOptions{.init = small, .zero_bias = true});
}

// z acts after the norm, which would otherwise take its effect away again.
Tensor ResidualBlock::operator()(const Tensor& x, const Tensor& z, const Pass& pass) const {
  Tensor y = norm1(conv1(x), pass);
  if (gain) {
    const Shape per_channel = {x.dim(0), 1, 1, x.dim(3)};
    y = add(mul(y, reshape(scale((*gain)(z), 1, 1), per_channel)), reshape((*shift)(z), per_channel));
  }
  return add(norm2(conv2(relu(y)), pass), x);
}

ResidualGenerator::ResidualGenerator(const Scope& s, const ResidualOptions& o)
    : options(checked(o)),
      conv_in(s.sub("conv_in"), o.in_channels + (joins(o) ? o.latent_maps : 0), o.width, same(9)),
      blocks(make_blocks(s, o)),
      conv_mid(s.sub("conv_mid"), o.width, o.width, same(3, bias_before(o.norm))),
      norm_mid(s.sub("norm_mid"), o.width, o.norm),
      conv_out(s.sub("conv_out"), o.width, o.out_channels, same(9)) {
  if (!joins(o)) return;
  const int64_t side = o.size / map_stride;
  embed.emplace(s.sub("embed"), o.latent, side * side * o.latent_maps,
                LinearOptions{.init = Init::torch_default()});  // an input like x, so of its magnitude
}

Tensor ResidualGenerator::operator()(const Tensor& x, const Tensor& z, const Pass& pass) const {
  const ResidualOptions& o = options;
  check(x.rank() == 4 && x.dim(3) == o.in_channels && x.numel() > 0, "residual generator: x must be [N,H,W,{}], got {}",
        o.in_channels, x);
  check(o.latent == 0 || (z && z.shape() == Shape{x.dim(0), o.latent}), "residual generator: z must be [{},{}], got {}",
        x.dim(0), o.latent, z);
  Tensor y = x;
  if (embed) {
    check(x.dim(1) == o.size && x.dim(2) == o.size, "residual generator: made for images of {}x{}, got {}", o.size,
          o.size, x);
    const int64_t side = o.size / map_stride;
    const Tensor map = reshape((*embed)(z), {x.dim(0), side, side, o.latent_maps});
    y = concat({x, upsample_bilinear(map, {o.size, o.size})});
  }
  const Tensor first = relu(conv_in(y));
  y = first;
  for (const ResidualBlock& block : blocks) y = block(y, z, pass);
  return tanh(conv_out(add(norm_mid(conv_mid(y), pass), first)));
}

DenseDiscriminator::DenseDiscriminator(const Scope& s, const DenseOptions& o) : options(o) {
  check(o.width > 0 && o.in_channels > 0 && o.fc > 0 && o.size > 0 && o.size % dense_stride == 0,
        "dense discriminator: the image size must be a multiple of {} and widths at least 1; got size={} width={}",
        dense_stride, o.size, o.width);
  int64_t cin = o.in_channels;
  for (int64_t k = 0; k < 8; ++k) {
    const std::string number = std::to_string(k);
    const int64_t cout = o.width << (k / 2);
    convs.emplace_back(s.sub("convs." + number), cin, cout, same(3, k == 0 || bias_before(o.norm), 1 + k % 2));
    if (k > 0) norms.emplace_back(s.sub("norms." + number), cout, o.norm);
    cin = cout;
  }
  const int64_t side = o.size / dense_stride;
  dense.emplace_back(s.sub("dense.0"), cin * side * side, o.fc,
                     LinearOptions{.init = small, .zero_bias = true, .area = side * side});
  dense.emplace_back(s.sub("dense.1"), o.fc, 1, LinearOptions{.init = small, .zero_bias = true});
}

Tensor DenseDiscriminator::operator()(const Tensor& x, const Pass& pass) const {
  check(x.rank() == 4 && x.dim(1) == options.size && x.dim(2) == options.size && x.dim(3) == options.in_channels,
        "dense discriminator: x must be [N,{},{},{}], got {}", options.size, options.size, options.in_channels, x);
  Tensor y = leaky_relu(convs[0](x), slope);
  for (size_t k = 1; k < convs.size(); ++k) y = leaky_relu(norms[k - 1](convs[k](y), pass), slope);
  return dense[1](leaky_relu(dense[0](flatten(y)), slope));
}

}  // namespace querent
