#include "models/gan_train.h"

#include <algorithm>
#include <cmath>

#include "tensor/ops.h"
#include "tensor/tape.h"

namespace querent {
namespace {

// How far the verdicts are from "all real" or "all generated".
Tensor verdict_loss(const Tensor& logits, bool real, GanLoss::Kind kind) {
  const Tensor target = Tensor::full(logits.shape(), real ? 1 : 0, logits.dtype(), logits.device());
  return kind == GanLoss::least_squares ? mse_loss(logits, target) : bce_with_logits(logits, target);
}

void check_finite(double value, const char* network) {
  check(std::isfinite(value), "gan: the loss of the {} is {}; lower the learning rate or check the images", network,
        value);
}

// Constant, then linear to 0 over the second half, as pix2pix is trained.
double rate(double lr, int64_t step, int64_t steps) {
  if (steps == 0) return lr;
  const double left = static_cast<double>(steps - step) / (static_cast<double>(steps) / 2);
  return lr * std::clamp(left, 0.0, 1.0);
}

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
  const Pass pass{Pass::train, streams};
  generator_optimizer_.set_lr(rate(options_.generator.lr, steps(), options_.steps));
  discriminator_optimizer_.set_lr(rate(options_.discriminator.lr, steps(), options_.steps));

  Tape tape;  // of the generator: one image serves both networks
  const Tensor fake = gan_.generate(batch.condition, batch.latent, pass);
  check(fake.shape() == batch.image.shape(), "gan: the images must be {}, got {}", fake.shape(), batch.image);
  GanLosses out;
  {
    Tape inner;  // here `fake` is a constant
    const GanTerms d = discriminator_loss(gan_, batch, fake, pass, options_.loss);
    out.judge_real = d.first.item(), out.judge_fake = d.second.item(), out.discriminator = d.total.item();
    check_finite(out.discriminator, "discriminator");
    discriminator_optimizer_.step(inner.backward(d.total, discriminator_optimizer_.params()));
  }
  const GanTerms g = generator_loss(gan_, batch, fake, pass, options_.loss);
  out.adversarial = g.first.item(), out.content = g.second.item(), out.generator = g.total.item();
  check_finite(out.generator, "generator");
  generator_optimizer_.step(tape.backward(g.total, generator_optimizer_.params()));
  if (average_) follow();
  return out;
}

// average += (1 - decay) * (live - average). The decay grows with the step, so that the initial weights, which mean
// nothing, are soon forgotten. Running statistics are averages already and are copied.
void GanTrainer::follow() const {
  const auto t = static_cast<double>(steps());
  const double decay = std::min(options_.average, (1 + t) / (10 + t));
  const Tensor live = generator_->all().flat, average = average_->all().flat;
  accumulate(average, scale(sub(live, average), 1 - decay));
  for (size_t i = 0; i < average_->buffers().size(); ++i) average_->buffers()[i].copy_from(generator_->buffers()[i]);
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
