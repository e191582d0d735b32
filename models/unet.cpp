#include "models/unet.h"

#include <algorithm>
#include <array>
#include <utility>

#include "layers/resample.h"
#include "tensor/tape.h"

namespace querent {
namespace {

const ConvOptions conv3x3{.kernel = 3, .padding = 1, .bias = false};
const ConvOptions doubling{.kernel = 2, .stride = 2};

std::string numbered(const char* stem, int64_t i) { return stem + std::to_string(i); }

// What a level computes, 0 the outermost: kept for backward, or computed again.
Tensor at_level(int64_t level, const Pass& pass, const std::function<Tensor()>& f) {
  return level < pass.recompute ? recomputed(f) : f();
}
// f ends with a convolution, whose result is kept; what leads to it costs little to compute again, whatever the level.
Tensor cheap(const Pass& pass, const std::function<Tensor()>& f) { return at_level(0, pass, f); }

UNetOptions checked(const UNetOptions& o) {
  check(o.width > 0 && o.classes > 0 && o.in_channels > 0 && o.depth >= 1 && o.depth <= 7,
        "unet: width, classes and channels must be at least 1 and depth 1 to 7; got width={} depth={}", o.width,
        o.depth);
  return o;
}

std::vector<DoubleConv> contracting_path(const Scope& s, const UNetOptions& o) {
  std::vector<DoubleConv> path;
  for (int64_t k = 1; k <= o.depth; ++k) {
    path.emplace_back(s.sub(numbered("down", k)).sub("maxpool_conv.1"), o.width << (k - 1), o.width << k);
  }
  return path;
}

std::vector<Up> expanding_path(const Scope& s, const UNetOptions& o) {
  std::vector<Up> path;
  for (int64_t k = 1; k <= o.depth; ++k) {
    path.emplace_back(s.sub(numbered("up", k)), o.width << (o.depth - k + 1), o.width << (o.depth - k));
  }
  return path;
}

}  // namespace

DoubleConv::DoubleConv(const Scope& s, int64_t cin, int64_t cout)
    : conv1(s.sub("double_conv.0"), cin, cout, conv3x3),
      norm1(s.sub("double_conv.1"), cout),
      conv2(s.sub("double_conv.3"), cout, cout, conv3x3),
      norm2(s.sub("double_conv.4"), cout) {}

Tensor DoubleConv::rest(const Tensor& y, const Pass& pass) const {
  const Tensor z = cheap(pass, [&] { return conv2(relu(norm1(y, pass))); });
  return relu(norm2(z, pass));
}

Up::Up(const Scope& s, int64_t cin, int64_t cout)
    : up(s.sub("up"), cin, cin / 2, doubling), conv(s.sub("conv"), cin, cout) {}

Tensor Up::operator()(const Tensor& x, const Tensor& skip, const Pass& pass) const {
  if (pass.mode == Pass::train) return conv.rest(cheap(pass, [&] { return conv.conv1(concat({skip, up(x)})); }), pass);
  const Tensor doubled = up(x);
  const Tensor w = weight_for(x, conv.conv1.weight);
  const int64_t first = skip.dim(3), second = w.dim(3) - first;
  const Tensor of_skip = crop(w, {.start = {0, 0, 0, 0}, .size = {w.dim(0), 3, 3, first}}),
               of_doubled = crop(w, {.start = {0, 0, 0, first}, .size = {w.dim(0), 3, 3, second}});
  return conv.rest(add(conv2d(doubled, of_doubled, {}, conv.conv1.attrs), conv2d(skip, of_skip, {}, conv.conv1.attrs)),
                   pass);
}

UNet::UNet(const Scope& s, const UNetOptions& o)
    : options(checked(o)),
      inc(s.sub("inc"), o.in_channels, o.width),
      down(contracting_path(s, o)),
      up(expanding_path(s, o)),
      outc(s.sub("outc.conv"), o.width, o.classes, {.kernel = 1}) {
  for (int64_t i = 1; i <= 4; ++i) drop.emplace_back(s.sub(numbered("drop", i)), o.dropout);
  if (o.log_var) log_var.emplace(s.sub("log_var.conv"), o.width, o.classes, ConvOptions{.kernel = 1});
}

Tensors UNet::trunk(const Tensor& x, const Pass& pass) const {
  check(x.rank() == 4 && x.dim(3) == options.in_channels, "unet: x must be [N,H,W,{}], got {}", options.in_channels, x);
  check(x.dim(1) % stride() == 0 && x.dim(2) % stride() == 0 && x.numel() > 0,
        "unet: height and width must be multiples of {} for depth {}, got {}; resize or pad the images", stride(),
        options.depth, x);
  Tensors skips = {at_level(0, pass, [&] { return inc(x, pass); })};
  for (size_t k = 0; k + 1 < down.size(); ++k)
    skips.push_back(at_level(static_cast<int64_t>(k) + 1, pass, [&] { return down[k](halve(skips.back()), pass); }));
  return skips;
}

Tensors UNet::stages(const Tensor& x, const Pass& pass) const {
  Tensors maps = trunk(x, pass);
  maps.push_back(down.back()(halve(maps.back()), pass));
  return maps;
}

Output UNet::head(Tensors skips, const Pass& pass) const {
  skips.back() = drop[0](skips.back(), pass);
  Tensor y = drop[1](down.back()(halve(skips.back()), pass), pass);
  for (size_t k = 0; k < up.size(); ++k) {
    const size_t level = up.size() - 1 - k;
    const auto join = [&] {
      const Tensor joined = up[k](y, skips[level], pass);
      return k < 2 ? drop[2 + k](joined, pass) : joined;
    };
    y = level == 0 ? join() : at_level(static_cast<int64_t>(level), pass, join);  // backward begins with 0 at once
  }
  return {outc(y), log_var ? (*log_var)(y) : Tensor{}};
}

Tensor UNet::embed(const Tensors& skips) const { return global_avg_pool(down.back()(halve(skips.back()), Pass{})); }

// encoderK.encKconvI / bottleneck.bottleneckconvI / upconvK / decoderK.decKconvI / conv, K counted from the top.
std::string unet_name_from_brain(const std::string& name) {
  const auto dot = name.find('.');
  if (dot == std::string::npos) return name;
  const std::string block = name.substr(0, dot), rest = name.substr(dot + 1);
  const int level = block.empty() || block.back() < '1' || block.back() > '4' ? 0 : block.back() - '0';
  if (block == "conv") return "outc.conv." + rest;
  if (block.starts_with("upconv") && level) return numbered("up", 5 - level) + ".up." + rest;
  std::string place;
  if (block.starts_with("encoder") && level)
    place = level == 1 ? "inc" : numbered("down", level - 1) + ".maxpool_conv.1";
  else if (block == "bottleneck")
    place = "down4.maxpool_conv.1";
  else if (block.starts_with("decoder") && level)
    place = numbered("up", 5 - level) + ".conv";
  else
    return name;
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> parts = {
      {{"conv1.", "0."}, {"norm1.", "1."}, {"conv2.", "3."}, {"norm2.", "4."}}};
  for (const auto& [theirs, ours] : parts) {
    const auto at = rest.find(theirs);
    if (at != std::string::npos) return place + ".double_conv." + std::string(ours) + rest.substr(at + theirs.size());
  }
  return name;
}

bool unet_is_first_after_concat(const std::string& name) {
  return name.starts_with("up") && name.ends_with(".conv.double_conv.0.weight");
}

}  // namespace querent
