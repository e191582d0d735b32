#include "models/vgg.h"

#include <array>
#include <span>
#include <string>

#include "layers/resample.h"

namespace querent {
namespace {

constexpr int64_t pool = 0, pooled_size = 7;
// Configuration "D" of the paper in units of the first block's width.
constexpr std::array<int64_t, 18> plan = {1, 1, pool, 2, 2, pool, 4, 4, 4, pool, 8, 8, 8, pool, 8, 8, 8, pool};
static_assert(plan.size() == VggFeatures::all);

LinearOptions hidden(int64_t area = 1) { return {.init = Init::gaussian(0.01), .zero_bias = true, .area = area}; }

}  // namespace

VggFeatures::VggFeatures(const Scope& s, const VggOptions& o, size_t count) {
  check(o.width > 0 && o.fc > 0 && o.classes > 0 && o.in_channels > 0,
        "vgg16: width, fc, classes and channels must be at least 1");
  int64_t channels = o.in_channels, index = 0;  // index: the position in torchvision's nn.Sequential
  for (const int64_t factor : std::span(plan).first(count)) {
    Stage stage;
    if (factor != pool) {
      const int64_t cout = factor * o.width;
      stage.conv.emplace(s.sub(std::to_string(index++)), channels, cout,
                         ConvOptions{.kernel = 3, .padding = 1, .init = Init::kaiming(true), .zero_bias = true});
      if (o.batch_norm) stage.norm.emplace(s.sub(std::to_string(index++)), cout);
      channels = cout;
    }
    ++index;  // the ReLU or the pool
    stages.push_back(std::move(stage));
  }
}

Tensor VggFeatures::Stage::operator()(const Tensor& x, const Pass& pass) const {
  if (!conv) return halve(x);
  const Tensor y = (*conv)(x);
  return relu(norm ? (*norm)(y, pass) : y);
}

Tensor VggFeatures::operator()(const Tensor& x, const Pass& pass) const {
  Tensor y = x;
  for (const Stage& stage : stages) y = stage(y, pass);
  return y;
}

Vgg16::Vgg16(const Scope& s, const VggOptions& o)
    : options(o),
      features(s.sub("features"), o),
      fc1(s.sub("classifier.0"), 8 * o.width * pooled_size * pooled_size, o.fc, hidden(pooled_size * pooled_size)),
      fc2(s.sub("classifier.3"), o.fc, o.fc, hidden()),
      fc3(s.sub("classifier.6"), o.fc, o.classes, hidden()),
      drop1(s.sub("classifier.2"), o.dropout),
      drop2(s.sub("classifier.5"), o.dropout) {
  if (o.log_var) log_var.emplace(s.sub("log_var"), o.fc, o.classes, hidden());
}

Tensors Vgg16::trunk(const Tensor& x, const Pass& pass) const {
  check(x.rank() == 4 && x.dim(3) == options.in_channels, "vgg16: x must be [N,H,W,{}], got {}", options.in_channels,
        x);
  check(x.dim(1) >= 32 && x.dim(2) >= 32, "vgg16: images must be at least 32x32, got {}; use a larger --size", x);
  return {relu(fc1(flatten(adaptive_avg_pool2d(features(x, pass), pooled_size))))};
}

Tensors Vgg16::stages(const Tensor& x, const Pass& pass) const {
  Tensors maps;
  Tensor y = x;
  for (const VggFeatures::Stage& stage : features.stages) {
    y = stage(y, pass);
    if (!stage.conv) maps.push_back(y);
  }
  return maps;
}

Output Vgg16::head(const Tensors& hidden_units, const Pass& pass) const {
  const Tensor y = drop2(relu(fc2(drop1(hidden_units[0], pass))), pass);
  return {fc3(y), log_var ? (*log_var)(y) : Tensor{}};
}

Tensor Vgg16::embed(const Tensors& hidden_units) const { return relu(fc2(hidden_units[0])); }

}  // namespace querent
