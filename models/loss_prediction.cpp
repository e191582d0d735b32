#include "models/loss_prediction.h"

#include <string>

namespace querent {
namespace {

std::vector<Linear> stage_layers(const Scope& s, std::span<const int64_t> channels, int64_t width) {
  std::vector<Linear> layers;
  for (size_t i = 0; i < channels.size(); ++i) layers.emplace_back(s.sub(std::to_string(i)), channels[i], width);
  return layers;
}

}  // namespace

LossPrediction::LossPrediction(const Scope& s, std::span<const int64_t> channels, int64_t width)
    : stages(stage_layers(s.sub("stages"), channels, width)),
      fc(s.sub("fc"), static_cast<int64_t>(channels.size()) * width, 1) {}

Tensor LossPrediction::operator()(const Tensors& averages) const {
  check(averages.size() == stages.size(), "loss prediction: made for {} stages, got {}", stages.size(),
        averages.size());
  Tensors units;
  for (size_t i = 0; i < stages.size(); ++i) units.push_back(relu(stages[i](averages[i])));
  return fc(concat(units));
}

Tensor ranking_loss(const Tensor& first, const Tensor& second, const Tensor& order, double margin) {
  return mean(relu(scale(mul(order, sub(first, second)), -1, margin)));
}

}  // namespace querent
