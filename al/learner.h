// One model being trained on whatever is labelled so far, asked for predictions and for its doubts.
#pragma once
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "al/experiment.h"
#include "data/loader.h"
#include "data/prefetch.h"
#include "layers/optim.h"
#include "layers/params.h"
#include "models/bayes.h"
#include "models/model.h"
#include "tensor/backend.h"

namespace querent::al {

struct TrainOptions {
  int64_t steps = 150, batch = 8;
  double lr = 1e-3, weight_decay = 1e-4;
  double l2 = 0;                 // adds l2 * sum of the squares of the parameter named `decayed` to the loss
  std::string decayed = {};
  uint64_t key = 0;              // order of images, augmentation and dropout are functions of (key, step)
  std::string unit = {};         // what is trained; a checkpoint of another unit is not continued
  std::string identity = {};     // what else determines the weights: a checkpoint of another identity is an Error
  int64_t recompute = 0;         // U-Net levels that backward computes again (models/train.h)
  int64_t tune_depth = 0;        // train only the last so many layers (models/train.h); 0: all
  std::string checkpoint = {};   // file to continue from and to write now and then; empty: none
  double checkpoint_every = 30;  // seconds
};
struct TrainHooks {
  std::function<void(int64_t step, double loss)> step = [](int64_t, double) {};
  std::function<bool()> stop = [] { return false; };
};

class Learner {
 public:
  // A freshly initialised network for `classes` classes (segmentation: 1). Weights are a function of `seed` and lie on
  // `device`; images and what is returned lie on the host.
  Learner(const ModelOptions& model, uint64_t seed, Device device = compute_device());

  // AdamW, cosine decay after a short warm-up, for options.steps steps of options.batch images drawn from `cases` epoch
  // by epoch; the loader is given the seed options.key. Ranks (tensor/collective.h) take equal shares of each batch and
  // all have the same weights in the end. Batches are made ahead in other threads, so the loader may not be changed
  // meanwhile. Continues from options.checkpoint when that file exists. Returns false when hooks.stop() asked to stop;
  // then the checkpoint is written first.
  bool train(data::Loader& loader, std::span<const int64_t> cases, const TrainOptions& options,
             const TrainHooks& hooks);
  const data::LoopTime& training_time() const { return training_time_; }  // of the last train() in this process

  // Probabilities of one deterministic pass, case by case: [C] for classifiers (C = 1 becomes {1-p, p}), [H*W] for
  // segmenters. Ranks look at the batches in turn (al/turns.h).
  std::vector<std::vector<float>> predict(const data::Loader& loader, std::span<const int64_t> cases) const;
  // The same of one batch, by this rank alone: for work that is shared out in another way.
  std::vector<std::vector<float>> answers(const data::Loader& loader, std::span<const int64_t> batch) const;

  const Model& model() const { return model_; }
  Inference& inference() const;  // Programs that are kept until the next training
  Params& params() { return *params_; }
  void save(const std::string& path, const std::map<std::string, std::string>& metadata) const;
  void load(const std::string& path);

 private:
  void save_checkpoint(const std::string& path, const Optimizer& optimizer, const TrainOptions& options) const;
  std::unique_ptr<Params> params_;
  Model model_;
  mutable std::unique_ptr<Inference> inference_;
  data::LoopTime training_time_;
};

}  // namespace querent::al
