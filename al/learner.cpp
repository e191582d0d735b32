#include "al/learner.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <numeric>

#include "al/turns.h"
#include "layers/schedule.h"
#include "layers/tensor_file.h"
#include "models/train.h"
#include "tensor/collective.h"

namespace querent::al {
namespace {

constexpr int64_t loss_samples = 4;  // logit draws of the sampled cross-entropy
constexpr int64_t predict_batch = 16;

}  // namespace

Learner::Learner(const ModelOptions& model, uint64_t seed, Device device)
    : params_(std::make_unique<Params>(device, seed)), model_(make_model(model, *params_)) {
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
  write_tensors(path, all,
                {{"key", std::to_string(o.key)}, {"steps", std::to_string(o.steps)}, {"unit", o.unit}, {"identity", o.identity}});
}

bool Learner::train(data::Loader& loader, std::span<const int64_t> cases, const TrainOptions& o,
                    const TrainHooks& hooks) {
  check(!cases.empty(), "train: there is no labelled image to train on");
  const int64_t rank = collective().rank, ranks = collective().size, share = share_of_batch(o.batch);
  inference_.reset();  // its memory
  Optimizer optimizer(last_layers(model_, *params_, o.tune_depth), {.kind = OptimOptions::adamw, .lr = o.lr, .weight_decay = o.weight_decay});
  const Schedule schedule(
      {.kind = ScheduleOptions::cosine, .lr = o.lr, .min_lr = o.lr * 0.01, .warmup = o.steps / 20, .total = o.steps});
  int64_t step = 0;
  if (!o.checkpoint.empty() && std::filesystem::exists(o.checkpoint)) {
    const TensorFile file = read_tensors(o.checkpoint);
    const auto identity = file.metadata.find("identity");
    check(identity != file.metadata.end() && identity->second == o.identity,
          "train: '{}' belongs to a training with other flags; use --force to start again or another --out",
          o.checkpoint);
    const auto said = [&](const char* name) {
      const auto it = file.metadata.find(name);
      return it == file.metadata.end() ? std::string() : it->second;
    };
    if (said("key") == std::to_string(o.key) && said("steps") == std::to_string(o.steps) && said("unit") == o.unit) {
      optimizer.load_state(file);
      params_->all().flat.copy_from(file.at("params"));
      for (const Tensor& b : params_->buffers()) b.copy_from(file.at(b.name()));
      step = optimizer.steps();
    }
  }
  loader.set_seed(o.key);
  const Tensor decayed = o.l2 > 0 ? params_->find(o.decayed) : Tensor{};
  TrainingStep train_on(model_, optimizer, {.samples = loss_samples, .l2 = o.l2, .decayed = decayed}, o.recompute);
  std::vector<int64_t> places(static_cast<size_t>(share));  // in the endless stream of images: the dropout streams
  data::Prefetcher<TrainingInput> batches(
      step, o.steps,
      [&](int64_t k) {
        const data::Batch b = loader.train_batch(cases, k * ranks + rank, share);
        return train_on.prepare(b.x, model_.segments ? b.mask_labels() : b.label);
      },
      data::prefetching((model_.segments ? 2 : 1) * loader.batch_bytes(share)));  // targets of pixels: as much again
  using Clock = std::chrono::steady_clock;
  auto saved = Clock::now();
  for (; step < o.steps; ++step) {
    const bool stop = hooks.stop();
    const bool due = std::chrono::duration<double>(Clock::now() - saved).count() > o.checkpoint_every;
    if (!o.checkpoint.empty() && (stop || any_rank(due))) {
      save_checkpoint(o.checkpoint, optimizer, o);
      saved = Clock::now();
    }
    if (stop) return false;
    const TrainingInput batch = batches.next();
    std::iota(places.begin(), places.end(), (step * ranks + rank) * share);
    optimizer.set_lr(schedule.rate(step));
    const double value = train_on(batch, make_streams(o.key, places, 0));
    hooks.step(step + 1, value);
  }
  training_time_ = batches.time();
  return true;
}

Inference& Learner::inference() const {
  if (!inference_) inference_ = std::make_unique<Inference>(model_);
  return *inference_;
}

std::vector<std::vector<float>> Learner::answers(const data::Loader& loader, std::span<const int64_t> batch) const {
  const Tensor p = inference()(loader.batch(batch).x).probability;
  std::vector<std::vector<float>> rows;
  for (size_t i = 0; i < batch.size(); ++i) {
    rows.push_back(p.batch(static_cast<int64_t>(i), 1).host());
    if (!model_.segments && rows[i].size() == 1) rows[i] = {1 - rows[i][0], rows[i][0]};
  }
  return rows;
}

std::vector<std::vector<float>> Learner::predict(const data::Loader& loader, std::span<const int64_t> cases) const {
  using Row = std::vector<float>;
  return in_turns<Row>(cases.size(), predict_batch, {}, [&](size_t first, std::span<Row> rows) {
    std::ranges::move(answers(loader, cases.subspan(first, rows.size())), rows.begin());
  });
}

}  // namespace querent::al
