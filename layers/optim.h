// SGD with momentum, Adam and AdamW over a flat arena of parameters: one op per step, whatever the number of layers.
#pragma once
#include <string>

#include "layers/tensor_file.h"
#include "tensor/tape.h"

namespace querent {

struct OptimOptions {
  enum Kind { sgd, adam, adamw };
  Kind kind = adam;
  double lr = 1e-3, weight_decay = 0;
  double momentum = 0.9;  // sgd
  bool nesterov = false;
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;  // adam, adamw
};
OptimOptions::Kind parse_optimizer(const std::string& name);  // "sgd", "adam", "adamw"

class Optimizer {
 public:
  Optimizer(ParamSet set, const OptimOptions& options);
  // One step along -gradient at the current rate. `g` must come from backward() with the same set.
  void step(const Gradients& g) { apply(g, advance()); }
  // The same in two halves, for a captured step: advance() counts the step and makes what varies from one to the next
  // (rate, bias corrections) a tensor, which is an input of the Program; apply() is ops alone.
  Tensor advance();
  void apply(const Gradients& g, const Tensor& hyper) const;
  void set_lr(double lr) { options_.lr = lr; }
  double lr() const { return options_.lr; }
  int64_t steps() const { return steps_; }
  const ParamSet& params() const { return set_; }

  // The whole state as named tensors ("optim.moment1", "optim.moment2", "optim.steps"), and back, bit for bit.
  Tensors state() const;
  void load_state(const TensorFile& file);

 private:
  void update(const Tensor& p, const Tensor& g, int64_t offset, const Tensor& hyper) const;
  ParamSet set_;
  OptimOptions options_;
  Tensor moment1_, moment2_;  // [total]: velocity or first moment; second moment
  int64_t steps_ = 0;
};

}  // namespace querent
