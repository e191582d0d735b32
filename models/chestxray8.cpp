#include "models/chestxray8.h"

#include <algorithm>

#include "layers/pool.h"
#include "tensor/backend.h"

namespace querent {
namespace {

Tensor pooled(const Tensor& x, const ChestXray8Options& o) {
  switch (o.pooling) {
    case ChestXray8Options::average:
      return global_avg_pool(x);
    case ChestXray8Options::max:
      return global_max_pool(x);
    case ChestXray8Options::lse:
      break;
  }
  return log_sum_exp_pool(x, o.r);
}

}  // namespace

ChestXray8Options::Pooling parse_pooling(const std::string& name) {
  if (name == "lse") return ChestXray8Options::lse;
  if (name == "average") return ChestXray8Options::average;
  check(name == "max", "pooling: '{}' is unknown; use lse, average or max", name);
  return ChestXray8Options::max;
}

ChestXray8::ChestXray8(const Scope& s, const ChestXray8Options& o)
    : options(o),
      backbone(s, {.in_channels = o.in_channels, .classes = o.findings, .width = o.width, .small_stem = o.small_stem}),
      transition(s.sub("transition.0"), 8 * o.width, 8 * o.width,
                 {.kernel = 1, .bias = false, .init = Init::kaiming(true)}),
      norm(s.sub("transition.1"), 8 * o.width),
      dtype(compute_dtype()) {}

Tensor ChestXray8::activations(const Tensor& x, const Pass& pass) const {
  return leaves(relu(norm(transition(backbone.stages(enters(x, dtype), pass).back()), pass)));
}

Tensor ChestXray8::logits(const Tensor& a) const { return backbone.fc(pooled(a, options)); }

Tensor ChestXray8::heat_maps(const Tensor& a) const {
  const Tensor places = reshape(a, {a.dim(0) * a.dim(1) * a.dim(2), a.dim(3)});
  return reshape(matmul(places, backbone.fc.weight, {.transpose_b = true}),
                 {a.dim(0), a.dim(1), a.dim(2), options.findings});
}

Tensor balanced_weights(const Tensor& target) {
  std::vector<float> t = target.host();
  const auto all = static_cast<double>(t.size());
  const auto ones = static_cast<double>(std::count_if(t.begin(), t.end(), [](float v) { return v > 0; }));
  for (float& v : t) v = static_cast<float>(v > 0 ? all / ones : all / (all - ones));
  return Tensor::from(std::span<const float>(t), target.shape(), target.dtype());
}

}  // namespace querent
