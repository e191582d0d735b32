#include "models/gan_train.h"

#include <algorithm>
#include <cmath>

#include "layers/rank_gradients.h"
#include "tensor/ops.h"
#include "tensor/tape.h"

namespace querent {
namespace {

// How far the verdicts are from "all real" or "all generated".
Tensor verdict_loss(const Tensor& logits, bool real, GanLoss::Kind kind) {
  const Tensor target = Tensor::full(logits.shape(), real ? 1 : 0, logits.dtype(), logits.device());
  return kind == GanLoss::least_squares ? mse_loss(logits, target) : bce_with_logits(logits, target);
}

GanLosses losses_of(const Tensors& t) {
  return {t[0].item(), t[1].item(), t[3].item(), t[4].item(), t[2].item(), t[5].item()};
}

// Constant, then linear to 0 over the second half, as pix2pix is trained.
double rate(double lr, int64_t step, int64_t steps) {
  if (steps == 0) return lr;
  const double left = static_cast<double>(steps - step) / (static_cast<double>(steps) / 2);
  return lr * std::clamp(left, 0.0, 1.0);
}

GanTerms of_all_ranks(const GanTerms& t) { return {rank_mean(t.first), rank_mean(t.second), rank_mean(t.total)}; }

void copy_values(const Params& from, const Params& to) {
  to.all().flat.copy_from(from.all().flat);
  for (size_t i = 0; i < from.buffers().size(); ++i) to.buffers()[i].copy_from(from.buffers()[i]);
}

}  // namespace

GanTerms discriminator_loss(const Gan& gan, const GanBatch& batch, const Tensor& fake, const Pass& pass,
                            const GanLoss& o) {
  // The order matters to running statistics; it is that of the published implementation.
  const Tensor on_fake = verdict_loss(gan.judge(batch.condition, fake, pass), false, o.kind);
  const Tensor on_real = verdict_loss(gan.judge(batch.condition, batch.image, pass), true, o.kind);
  return {on_real, on_fake, scale(add(on_fake, on_real), 0.5)};
}

GanTerms generator_loss(const Gan& gan, const GanBatch& batch, const Tensor& fake, const Pass& pass, const GanLoss& o) {
  const Tensor fooled = verdict_loss(gan.judge(batch.condition, fake, pass), true, o.kind);
  const Tensor content = o.content ? o.content(fake, batch.image) : l1_loss(fake, batch.image);
  return {fooled, content, add(fooled, scale(content, o.content_weight))};
}

GanTrainer::GanTrainer(const Gan& gan, Params& generator, Params& discriminator, const GanTraining& options,
                       Params* average)
    : gan_(gan),
      options_(options),
      generator_(&generator),
      average_(average),
      generator_optimizer_(generator.all(), options.generator),
      discriminator_optimizer_(discriminator.all(), options.discriminator) {
  check(options.average >= 0 && options.average < 1, "gan: the average must be in [0,1), got {}", options.average);
  check(options.steps >= 0, "gan: the number of steps must not be negative, got {}", options.steps);
  if (!average_) return;
  check(average_->names() == generator.names() && average_->all().total == generator.all().total,
        "gan: the running average is another architecture than the generator; build both with the same options");
  copy_values(generator, *average_);
}

GanLosses GanTrainer::step(const GanBatch& batch, const Tensor& streams) {
  check(batch.image && batch.condition, "gan: a batch needs conditions and images");
  generator_optimizer_.set_lr(rate(options_.generator.lr, steps(), options_.steps));
  discriminator_optimizer_.set_lr(rate(options_.discriminator.lr, steps(), options_.steps));
  const Tensor discriminator_hyper = discriminator_optimizer_.advance(),
               generator_hyper = generator_optimizer_.advance();
  Tensors inputs = {batch.condition,
                    batch.image,
                    batch.latent,
                    streams,
                    discriminator_hyper,
                    generator_hyper,
                    Tensor::full({1}, following_rate(), generator_->all().flat.dtype())};
  for (Tensor& t : inputs) t = t ? t.to(generator_->device()) : t;
  const auto both = [this](Inputs in) { return step_of_both({in[0], in[1], in[2]}, in[3], in[4], in[5], in[6]); };
  if (options_.eager) return losses_of(both(inputs));
  if (program_ && shape_ == batch.condition.shape()) return losses_of((*program_)(inputs));
  shape_ = batch.condition.shape();
  program_.reset();  // its memory first
  program_ = Program::capture(both, inputs);
  return losses_of(program_->results());
}

// The discriminator on real and generated pairs, its sum; adversarial, content, the generator's sum.
Tensors GanTrainer::step_of_both(const GanBatch& batch, const Tensor& streams, const Tensor& discriminator_hyper,
                                 const Tensor& generator_hyper, const Tensor& following) const {
  const Pass pass{Pass::train, streams};
  Tape tape;  // of the generator: one image serves both networks
  const Tensor fake = gan_.generate(batch.condition, batch.latent, pass);
  check(fake.shape() == batch.image.shape(), "gan: the images must be {}, got {}", fake.shape(), batch.image);
  Tensors losses;
  {
    Tape inner;  // here `fake` is a constant
    const GanTerms mine = discriminator_loss(gan_, batch, fake, pass, options_.loss), d = of_all_ranks(mine);
    require_finite(d.total, "gan: the loss of the discriminator is {}; lower the learning rate or check the images");
    discriminator_optimizer_.apply(backward_of_ranks(inner, mine.total, discriminator_optimizer_.params()),
                                   discriminator_hyper);
    losses = {d.first, d.second, d.total};
  }
  const GanTerms mine = generator_loss(gan_, batch, fake, pass, options_.loss), g = of_all_ranks(mine);
  require_finite(g.total, "gan: the loss of the generator is {}; lower the learning rate or check the images");
  generator_optimizer_.apply(backward_of_ranks(tape, mine.total, generator_optimizer_.params()), generator_hyper);
  losses.insert(losses.end(), {g.first, g.second, g.total});
  if (average_) follow(following);
  return losses;
}

// 1 - decay. The decay grows with the step, so that the initial weights, which mean nothing, are soon forgotten.
double GanTrainer::following_rate() const {
  const auto t = static_cast<double>(steps());
  return 1 - std::min(options_.average, (1 + t) / (10 + t));
}

// average += rate * (live - average). Running statistics are averages already and are copied.
void GanTrainer::follow(const Tensor& rate_of_step) const {
  const Tensor live = generator_->all().flat, average = average_->all().flat;
  const NoTape no_gradient;
  accumulate(average, mul(sub(live, average), rate_of_step));
  for (size_t i = 0; i < average_->buffers().size(); ++i) assign(average_->buffers()[i], generator_->buffers()[i]);
}

Tensors GanTrainer::state() const {
  Tensors out;
  for (const auto& [prefix, optimizer] :
       {std::pair{"generator.", &generator_optimizer_}, {"discriminator.", &discriminator_optimizer_}}) {
    for (const Tensor& t : optimizer->state()) out.push_back(t.clone().named(prefix + t.name()));
  }
  return out;
}

void GanTrainer::load_state(const TensorFile& file) {
  for (const auto& [prefix, optimizer] :
       {std::pair{"generator.", &generator_optimizer_}, {"discriminator.", &discriminator_optimizer_}}) {
    TensorFile part{.tensors = {}, .metadata = {}, .path = file.path};
    for (const auto& [name, tensor] : file.tensors) {
      if (!name.starts_with(prefix)) continue;
      part.tensors[name.substr(std::string_view(prefix).size())] = tensor;
    }
    optimizer->load_state(part);
  }
}

}  // namespace querent
