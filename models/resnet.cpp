#include "models/resnet.h"

#include <string>

namespace querent {
namespace {

ConvOptions conv(int64_t kernel, int64_t stride) {
  return {.kernel = kernel, .stride = stride, .padding = kernel / 2, .bias = false, .init = Init::kaiming(true)};
}

std::vector<BasicBlock> make_blocks(const Scope& s, int64_t width) {
  std::vector<BasicBlock> blocks;
  int64_t channels = width;
  for (int64_t stage = 0; stage < 4; ++stage) {
    for (int64_t b = 0; b < 2; ++b) {
      const std::string name = "layer" + std::to_string(stage + 1) + "." + std::to_string(b);
      blocks.emplace_back(s.sub(name), channels, width << stage, stage > 0 && b == 0 ? 2 : 1);
      channels = width << stage;
    }
  }
  return blocks;
}

}  // namespace

BasicBlock::BasicBlock(const Scope& s, int64_t cin, int64_t cout, int64_t stride)
    : conv1(s.sub("conv1"), cin, cout, conv(3, stride)),
      bn1(s.sub("bn1"), cout),
      conv2(s.sub("conv2"), cout, cout, conv(3, 1)),
      bn2(s.sub("bn2"), cout) {
  if (stride == 1 && cin == cout) return;
  shortcut_conv.emplace(s.sub("downsample.0"), cin, cout, conv(1, stride));
  shortcut_norm.emplace(s.sub("downsample.1"), cout);
}

Tensor BasicBlock::operator()(const Tensor& x, const Pass& pass) const {
  const Tensor y = bn2(conv2(relu(bn1(conv1(x), pass))), pass);
  const Tensor shortcut = shortcut_conv ? (*shortcut_norm)((*shortcut_conv)(x), pass) : x;
  return relu(add(y, shortcut));
}

ResNet18::ResNet18(const Scope& s, const ResNetOptions& o)
    : options(o),
      conv1(s.sub("conv1"), o.in_channels, o.width, o.small_stem ? conv(3, 1) : conv(7, 2)),
      bn1(s.sub("bn1"), o.width),
      blocks(make_blocks(s, o.width)),
      fc(s.sub("fc"), 8 * o.width, o.classes),
      drop(s.sub("dropout"), o.dropout) {
  if (o.log_var) log_var.emplace(s.sub("log_var"), 8 * o.width, o.classes);
}

Tensors ResNet18::trunk(const Tensor& x, const Pass& pass) const { return {global_avg_pool(stages(x, pass).back())}; }

Tensors ResNet18::stages(const Tensor& x, const Pass& pass) const {
  check(x.rank() == 4 && x.dim(3) == options.in_channels && x.numel() > 0, "resnet18: x must be [N,H,W,{}], got {}",
        options.in_channels, x);
  Tensor y = relu(bn1(conv1(x), pass));
  if (!options.small_stem) y = max_pool2d(y, {.kernel = 3, .stride = 2, .padding = 1});
  Tensors maps;
  for (size_t i = 0; i < blocks.size(); ++i) {
    y = blocks[i](y, pass);
    if (i % 2 == 1) maps.push_back(y);
  }
  return maps;
}

Output ResNet18::head(const Tensors& features, const Pass& pass) const {
  const Tensor y = drop(features[0], pass);
  return {fc(y), log_var ? (*log_var)(y) : Tensor{}};
}

}  // namespace querent
