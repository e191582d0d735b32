#include "al/learner.h"

#include <chrono>
#include <filesystem>
#include <numeric>

#include "layers/schedule.h"
#include "layers/tensor_file.h"
#include "models/train.h"
#include "tensor/rng.h"

namespace querent::al {
namespace {

constexpr int64_t loss_samples = 4;  // logit draws of the sampled cross-entropy
constexpr int64_t predict_batch = 16;

// Cases of positions first, first+1, ... in the endless stream of epochs, each epoch a new order of `cases`.
struct Draw {
  std::vector<int64_t> cases, positions, epochs;
};
Draw draw_batch(std::span<const int64_t> cases, uint64_t key, int64_t first, int64_t count) {
  Draw d;
  const auto n = static_cast<int64_t>(cases.size());
  std::vector<int64_t> order;
  int64_t epoch_of_order = -1;
  for (int64_t p = first; p < first + count; ++p) {
    const int64_t epoch = p / n;
    if (epoch != epoch_of_order) {
      order.assign(cases.begin(), cases.end());
      Rng rng = Rng(key).fork("order").fork(static_cast<uint64_t>(epoch));
      rng.shuffle(order);
      epoch_of_order = epoch;
    }
    d.cases.push_back(order[static_cast<size_t>(p % n)]);
    d.positions.push_back(p);
    d.epochs.push_back(epoch);
  }
  return d;
}

// i64 labels: [N,H,W] from the mask for segmenters, [N] for classifiers.
Tensor labels_of(const Model& model, const Batch& batch) {
  if (!model.segments) return batch.label;
  return batch.mask.cast(DType::i64).reshaped({batch.mask.dim(0), batch.mask.dim(1), batch.mask.dim(2)});
}

}  // namespace

Learner::Learner(const ModelOptions& model, uint64_t seed)
    : params_(std::make_unique<Params>(Device::cpu(), seed)), model_(make_model(model, *params_)) {
  params_->all();
}

void Learner::save(const std::string& path, const std::map<std::string, std::string>& metadata) const {
  auto all = metadata;
  all[architecture_key] = model_.options.json();
  params_->save(path, all);
}
void Learner::load(const std::string& path) { load_weights(model_, *params_, path); }

void Learner::save_checkpoint(const std::string& path, const Optimizer& optimizer, const TrainOptions& o) const {
  Tensors all = optimizer.state();
  all.push_back(Tensor(params_->all().flat).named("params"));
  for (const Tensor& b : params_->buffers()) all.push_back(b);
  write_tensors(path, all, {{"key", std::to_string(o.key)}, {"steps", std::to_string(o.steps)}});
}

bool Learner::train(const Loader& loader, std::span<const int64_t> cases, const TrainOptions& o,
                    const TrainHooks& hooks) {
  check(!cases.empty(), "train: there is no labelled image to train on");
  Optimizer optimizer(params_->all(), {.kind = OptimOptions::adamw, .lr = o.lr, .weight_decay = o.weight_decay});
  const Schedule schedule(
      {.kind = ScheduleOptions::cosine, .lr = o.lr, .min_lr = o.lr * 0.01, .warmup = o.steps / 20, .total = o.steps});
  int64_t step = 0;
  if (!o.checkpoint.empty() && std::filesystem::exists(o.checkpoint)) {
    const TensorFile file = read_tensors(o.checkpoint);
    if (file.metadata.at("key") == std::to_string(o.key) && file.metadata.at("steps") == std::to_string(o.steps)) {
      optimizer.load_state(file);
      params_->all().flat.copy_from(file.at("params"));
      for (const Tensor& b : params_->buffers()) b.copy_from(file.at(b.name()));
      step = optimizer.steps();
    }
  }
  using Clock = std::chrono::steady_clock;
  auto saved = Clock::now();
  for (; step < o.steps; ++step) {
    const bool stop = hooks.stop();
    const bool due = std::chrono::duration<double>(Clock::now() - saved).count() > o.checkpoint_every;
    if (!o.checkpoint.empty() && (stop || due)) {
      save_checkpoint(o.checkpoint, optimizer, o);
      saved = Clock::now();
    }
    if (stop) return false;
    const Draw d = draw_batch(cases, o.key, step * o.batch, o.batch);
    const Batch batch = o.augment ? loader.augmented(d.cases, o.key, d.epochs) : loader.batch(d.cases);
    optimizer.set_lr(schedule.rate(step));
    const double value = train_step(model_, optimizer, batch.x, labels_of(model_, batch), make_streams(o.key, d.positions, 0),
                                    {.samples = loss_samples});
    hooks.step(step + 1, value);
  }
  return true;
}

std::vector<std::vector<float>> Learner::predict(const Loader& loader, std::span<const int64_t> cases) const {
  std::vector<std::vector<float>> result;
  for (size_t first = 0; first < cases.size(); first += predict_batch) {
    const auto part = cases.subspan(first, std::min<size_t>(predict_batch, cases.size() - first));
    const Tensor p = querent::predict(model_, loader.batch(part).x);
    for (size_t i = 0; i < part.size(); ++i) {
      std::vector<float> v = p.batch(static_cast<int64_t>(i), 1).host();
      if (!model_.segments && v.size() == 1) v = {1 - v[0], v[0]};
      result.push_back(std::move(v));
    }
  }
  return result;
}

}  // namespace querent::al
