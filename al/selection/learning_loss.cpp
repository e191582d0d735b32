// Learning loss (Yoo and Kweon, CVPR 2019), detached: the module that predicts losses is trained after the network and
// on its features as they are, without a gradient into it. In the paper both are trained together, the gradient of the
// module reaches the network for the first 120 of 200 epochs, and the losses it learns from are those along the way,
// of augmented images. Here they are the final losses of the labelled images, which are small where the network has
// learnt them by heart; what remains is their order.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "al/selection/family.h"
#include "layers/optim.h"
#include "models/loss_prediction.h"
#include "tensor/rng.h"

namespace querent::al {
namespace {

constexpr int64_t steps = 300, most_pairs = 32;
constexpr double rate = 1e-3, weight_decay = 5e-4;

// Mean 0 and variance 1 over the labelled points, for each feature.
struct Standard {
  std::vector<double> mean, deviation;
  explicit Standard(const Points& p) : mean(static_cast<size_t>(p.d), 0), deviation(mean) {
    const auto n = static_cast<double>(p.n);
    for (int64_t i = 0; i < p.n; ++i)
      for (size_t j = 0; j < mean.size(); ++j) mean[j] += p.row(i)[j] / n;
    for (int64_t i = 0; i < p.n; ++i)
      for (size_t j = 0; j < mean.size(); ++j) deviation[j] += std::pow(p.row(i)[j] - mean[j], 2) / n;
    for (double& v : deviation) v = v > 0 ? std::sqrt(v) : 1;
  }
};

// Rows of the points, a tensor for each stage.
Tensors stage_tensors(const Points& p, std::span<const int64_t> rows, std::span<const int64_t> stages,
                      const Standard& s) {
  Tensors all;
  size_t first = 0;
  for (const int64_t channels : stages) {
    std::vector<float> x;
    for (const int64_t i : rows)
      for (size_t j = first; j < first + static_cast<size_t>(channels); ++j)
        x.push_back(static_cast<float>((p.row(i)[j] - s.mean[j]) / s.deviation[j]));
    all.push_back(Tensor::from(std::span<const float>(x), {static_cast<int64_t>(rows.size()), channels}));
    first += static_cast<size_t>(channels);
  }
  return all;
}

std::vector<int64_t> indices(int64_t n) {
  std::vector<int64_t> all(static_cast<size_t>(n));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

std::vector<Pick> select(const PoolView& view, int64_t k, const ScoreOptions& o) {
  const std::vector<double> predicted =
      predicted_losses(candidate_points(view), labelled_points(view), view.labelled_loss, view.stages, o.seed);
  std::vector<Pick> picks;
  for (const size_t i : descending(predicted)) {
    if (static_cast<int64_t>(picks.size()) == k) break;
    picks.push_back({i, {.value = predicted[i], .group = 0, .parts = {{"predicted_loss", predicted[i]}}}});
  }
  return picks;
}

}  // namespace

std::vector<double> predicted_losses(const Points& candidates, const Points& labelled, std::span<const double> losses,
                                     std::span<const int64_t> stages, uint64_t seed) {
  std::vector<double> predicted(static_cast<size_t>(candidates.n), 0.0);
  if (labelled.n < 2) return predicted;
  const Standard standard(labelled);
  Params params(Device::cpu(), mix_key(seed, hash_name("learning_loss")));
  const LossPrediction predictor(params.root(), stages);
  Optimizer optimizer(params.all(), {.kind = OptimOptions::adamw, .lr = rate, .weight_decay = weight_decay});
  const auto pairs = static_cast<size_t>(std::min(most_pairs, labelled.n / 2));
  for (int64_t step = 0; step < steps; ++step) {
    std::vector<int64_t> order = indices(labelled.n);
    Rng(seed).fork("learning_loss").fork(static_cast<uint64_t>(step)).shuffle(order);
    const std::span first = std::span(order).first(pairs), second = std::span(order).subspan(pairs, pairs);
    std::vector<float> sign;
    for (size_t i = 0; i < pairs; ++i)
      sign.push_back(losses[static_cast<size_t>(first[i])] > losses[static_cast<size_t>(second[i])] ? 1.0f : -1.0f);
    Tape tape;
    const Tensor loss = ranking_loss(predictor(stage_tensors(labelled, first, stages, standard)),
                                     predictor(stage_tensors(labelled, second, stages, standard)),
                                     Tensor::from(std::span<const float>(sign), {static_cast<int64_t>(pairs), 1}));
    optimizer.step(tape.backward(loss, params.all()));
  }
  const NoTape no_tape;
  const std::vector<float> said = predictor(stage_tensors(candidates, indices(candidates.n), stages, standard)).host();
  std::copy(said.begin(), said.end(), predicted.begin());
  return predicted;
}

constinit const Strategy learning_loss_strategy{
    .name = "learning_loss",
    .alias = "loss_prediction",
    .formula = "predicted loss g(h),  trained on pairs: max(0, 1 - sgn(l_i - l_j)(g(h_i) - g(h_j)))",
    .source = "Yoo and Kweon, CVPR 2019, with the module trained after the network",
    .doc =
        "A small module reads the averaged feature maps of all stages and learns to rank the losses of the labelled "
        "images; asked first is what it expects the largest loss of. One pass, no dropout. In the paper it is trained "
        "together with the network; here on the finished network's features, so that the network is the same for every "
        "strategy. The value is a rank, not a loss in nats.",
    .needs = {.model = false, .features = true, .stages = true, .labelled = true, .losses = true},
    .select = select};

}  // namespace querent::al
