// The losses of a conditional GAN and one alternating step: first the discriminator, then the generator.
#pragma once
#include <functional>
#include <optional>

#include "layers/optim.h"
#include "models/gan.h"
#include "tensor/program.h"

namespace querent {

struct GanLoss {
  enum Kind {
    logistic,  // Goodfellow et al. 2014: cross-entropy of the logits; the generator maximises log D ("non-saturating")
    least_squares  // Mao et al. 2017 (LSGAN)
  };
  Kind kind = logistic;
  double content_weight = 100;  // 100 in pix2pix, 10 in Mahapatra et al. 2018
  // How far a generated image is from the wanted one, a scalar; none: the mean absolute difference.
  std::function<Tensor(const Tensor& image, const Tensor& target)> content = {};
};

struct GanTraining {
  GanLoss loss;
  OptimOptions generator = {.lr = 2e-4, .beta1 = 0.5, .beta2 = 0.999};
  OptimOptions discriminator = {.lr = 2e-4, .beta1 = 0.5, .beta2 = 0.999};
  int64_t steps = 0;       // of the whole training; the rates fall linearly to 0 over its second half. 0: constant
  double average = 0.999;  // of the running mean of the generator's weights; earlier steps forget faster
  bool eager = false;      // run every step as it is instead of replaying the first; the bits are the same
};

struct GanBatch {
  Tensor condition, image;  // [N,H,W,*], the image in -1..1
  Tensor latent = {};       // [N,latent], if the generator takes one
};

// Every value is the mean over the batch; the two sums are what is minimised.
struct GanLosses {
  double judge_real = 0, judge_fake = 0;    // the discriminator on real and on generated pairs
  double adversarial = 0, content = 0;      // the generator; content is not yet weighted
  double discriminator = 0, generator = 0;  // (real + fake) / 2, and adversarial + weight * content
};

// The same as tensors, for a tape. `fake` is generate(condition, latent); the discriminator's loss is halved because
// it would otherwise learn from two batches while the generator learns from one.
struct GanTerms {
  Tensor first, second, total;
};
GanTerms discriminator_loss(const Gan& gan, const GanBatch& batch, const Tensor& fake, const Pass& pass,
                            const GanLoss& o = {});
GanTerms generator_loss(const Gan& gan, const GanBatch& batch, const Tensor& fake, const Pass& pass,
                        const GanLoss& o = {});

// A GAN in training. Its state is the two Params, the running average and state(): with these restored, training
// continues bit for bit, because a step draws random numbers from `streams` alone.
class GanTrainer {
 public:
  // `average`, if given, holds a generator of the same options (make_generator), starts as a copy of the live one and
  // follows it; its weights are smoother than those of any single step. To resume, load all weights
  // after construction.
  GanTrainer(const Gan& gan, Params& generator, Params& discriminator, const GanTraining& options = {},
             Params* average = nullptr);
  // One step of each network on one batch, which is moved to where they lie. Dropout draws from `streams` i64 [N,2].
  // Returns the losses before the step; a non-finite one is an Error. Both networks' steps are one Program, captured
  // with the first batch. Ranks (tensor/collective.h) give equal shares of one batch: losses and gradients are the
  // means of theirs.
  GanLosses step(const GanBatch& batch, const Tensor& streams = {});
  int64_t steps() const { return generator_optimizer_.steps(); }

  // Both optimizers as named tensors ("generator.optim.moment1", ...), and back, bit for bit. The average is a weight
  // file like any other.
  Tensors state() const;
  void load_state(const TensorFile& file);

 private:
  Tensors step_of_both(const GanBatch& batch, const Tensor& streams, const Tensor& discriminator_hyper,
                       const Tensor& generator_hyper, const Tensor& following) const;
  double following_rate() const;
  void follow(const Tensor& rate_of_step) const;
  Gan gan_;
  GanTraining options_;
  Params *generator_, *average_;
  Optimizer generator_optimizer_, discriminator_optimizer_;
  Shape shape_;  // of the conditions in the captured step
  std::optional<Program> program_;
};

}  // namespace querent
