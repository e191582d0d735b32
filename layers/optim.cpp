#include "layers/optim.h"

#include <array>
#include <cmath>
#include <utility>

#include "tensor/ops.h"

namespace querent {

OptimOptions::Kind parse_optimizer(const std::string& name) {
  for (const auto& [known, kind] :
       {std::pair{"sgd", OptimOptions::sgd}, {"adam", OptimOptions::adam}, {"adamw", OptimOptions::adamw}}) {
    if (name == known) return kind;
  }
  fail("optimizer: '{}' is unknown; use sgd, adam or adamw", name);
}

Optimizer::Optimizer(ParamSet set, const OptimOptions& options) : set_(std::move(set)), options_(options) {
  check(!set_.tensors.empty(), "optimizer: there are no parameters to train");
  check(options.lr >= 0, "optimizer: the learning rate must not be negative, got {}", options.lr);
  const DType dtype = set_.tensors[0].dtype();
  const Device device = set_.tensors[0].device();
  moment1_ = Tensor::zeros({set_.total}, dtype, device).named("optim.moment1");
  if (options_.kind != OptimOptions::sgd) moment2_ = Tensor::zeros({set_.total}, dtype, device).named("optim.moment2");
}

void Optimizer::update(const Tensor& p, const Tensor& g, int64_t offset, const Tensor& hyper) const {
  const Tensor m = moment1_.batch(offset, p.numel());
  if (options_.kind == OptimOptions::sgd) return sgd_update(p, g, m, hyper);
  adam_update(p, g, m, moment2_.batch(offset, p.numel()), hyper, {.decoupled = options_.kind == OptimOptions::adamw});
}

Tensor Optimizer::advance() {
  ++steps_;
  const auto t = static_cast<double>(steps_);
  const auto& o = options_;
  const std::vector<double> values = o.kind == OptimOptions::sgd
                                         ? std::vector<double>{o.lr, o.momentum, o.weight_decay, o.nesterov ? 1. : 0.}
                                         : std::vector<double>{o.lr,
                                                               1 - o.beta1,
                                                               1 - o.beta2,
                                                               o.eps,
                                                               o.weight_decay,
                                                               1 - std::pow(o.beta1, t),
                                                               1 - std::pow(o.beta2, t)};
  return Tensor::from(std::span<const double>(values), {static_cast<int64_t>(values.size())}, moment1_.dtype())
      .to(moment1_.device());
}

void Optimizer::apply(const Gradients& g, const Tensor& hyper) const {
  check(g.flat.numel() == set_.total, "optimizer: the gradients have {} elements, the parameters {}; use the same set",
        g.flat.numel(), set_.total);
  if (set_.flat) return update(set_.flat, g.flat, 0, hyper);
  for (size_t i = 0; i < set_.tensors.size(); ++i) {  // parameters that are not neighbours in the arena
    const Tensor& p = set_.tensors[i];
    update(p.reshaped({p.numel()}), g.flat.batch(set_.offsets[i], p.numel()), set_.offsets[i], hyper);
  }
}

Tensors Optimizer::state() const {
  const std::array<int64_t, 1> steps = {steps_};
  Tensors out = {moment1_};
  if (moment2_) out.push_back(moment2_);
  out.push_back(Tensor::from(std::span<const int64_t>(steps), {1}).named("optim.steps"));
  return out;
}

void Optimizer::load_state(const TensorFile& file) {
  for (const Tensor& t : {moment1_, moment2_}) {
    if (!t) continue;
    const Tensor& saved = file.at(t.name());
    check(saved.shape() == t.shape() && saved.dtype() == t.dtype(),
          "{}: the optimizer state {} does not fit this model ({})", file.path, saved, t);
    t.copy_from(saved);
  }
  const Tensor& steps = file.at("optim.steps");
  check(steps.dtype() == DType::i64 && steps.numel() == 1, "{}: optim.steps is damaged", file.path);
  steps_ = *steps.data<int64_t>();
}

}  // namespace querent
