// The loss of a task and one optimizer step: the same few lines for every network.
#pragma once
#include <functional>
#include <optional>
#include <string_view>

#include "layers/optim.h"
#include "models/model.h"
#include "tensor/program.h"
#include "tensor/transfer.h"

namespace querent {

struct TaskLoss {
  bool dice = true;           // segmentation: add the soft Dice loss to the cross-entropy
  int64_t samples = 10;       // logit draws per element when the model has a log-variance head
  Tensor class_weights = {};  // f32 [C]; none: 1. For C = 1 the two weights of background and foreground
  double l2 = 0;              // adds l2 * sum of the squares of `decayed`: weight decay of one layer, as Keras has it
  Tensor decayed = {};
};

// What the network is to say, made from the labels before the step: i64 [N] for classifiers, [N,H,W] for segmenters;
// classes 0..C-1, or 0/1 when C = 1. `dtype` is that of the network.
struct Targets {
  Tensor labels;   // as given; none where no loss reads them: one class without a log-variance head
  Tensor one_hot;  // [*,C], where the loss compares probabilities; else none
  Tensor weights;  // of each element, for a binary task with class weights; else none
};
Targets make_targets(const Model& model, const Tensor& labels, DType dtype, const TaskLoss& o = {});

// Mean loss of a batch, a scalar. Cross-entropy (C = 1: with sigmoid); with a log-variance head the sampled
// cross-entropy of Kendall and Gal, equation 12, whose noise comes from `streams` i64 [N,2].
Tensor task_loss(const Model& model, const Output& out, const Targets& targets, const Tensor& streams = {},
                 const TaskLoss& o = {});
inline Tensor task_loss(const Model& model, const Output& out, const Tensor& labels, const Tensor& streams = {},
                        const TaskLoss& o = {}) {
  return task_loss(model, out, make_targets(model, labels, out.logits.dtype(), o), streams, o);
}

// The parameters of the last `depth` layers, 1 the output layer (with its log-variance twin), 0 all of them: what
// fine-tuning trains (Tajbakhsh et al., IEEE TMI 2016). A layer is a convolution or a linear layer and the norm after it;
// ResNet18's three shortcut convolutions count. Error: more layers than there are.
ParamSet last_layers(const Model& model, const Params& params, int64_t depth);

// Forward in Pass::train, backward to the optimizer's parameters, one step. Batch norms whose weight the optimizer does
// not train go by their running statistics and leave them alone. Returns the loss before the step; a non-finite loss is
// an Error and leaves the parameters untouched. The step is done where the parameters lie; what comes in is moved there.
// Ranks (tensor/collective.h) give equal shares of one batch: loss and gradients are the means of theirs.
double train_step(const Model& model, Optimizer& optimizer, const Tensor& x, const Tensor& labels,
                  const Tensor& streams, const TaskLoss& o = {}, int64_t recompute = 0);

// What one step learns from, on its way to where the step is done.
struct TrainingInput {
  Transfer x, labels, one_hot, weights;  // Targets, but for x
};

// train_step as a Program: the first batch of a shape is run and captured, all others of that shape are replayed, with
// the same bits. Lives no longer than the model and the optimizer.
class TrainingStep {
 public:
  // `recompute`: as in Pass. It changes memory and time, and no bit of what is learnt.
  TrainingStep(const Model& model, Optimizer& optimizer, const TaskLoss& loss = {}, int64_t recompute = 0);
  TrainingInput prepare(const Tensor& x, const Tensor& labels) const;  // the part that any thread may do ahead
  double operator()(const TrainingInput& input, const Tensor& streams);
  double operator()(const Tensor& x, const Tensor& labels, const Tensor& streams) {
    return (*this)(prepare(x, labels), streams);
  }
  const Program* program() const { return program_ ? &*program_ : nullptr; }  // none before the first step

 private:
  Model model_;
  Optimizer& optimizer_;
  TaskLoss loss_, loss_there_;  // on the host, and where the step is done
  int64_t recompute_;
  Shape shape_;  // of x in the captured step
  std::optional<Program> program_;
};

// How many images of a batch each rank takes. Error, in the name of `who`: they cannot take equal shares.
int64_t share_of_batch(int64_t batch, std::string_view who = "train");

// Where and how a training that is planned will run.
struct TrainingPlace {
  Device device = Device::cpu();
  // How many inputs of so many bytes are made ahead of their use (data/prefetch.h); empty: none.
  std::function<int64_t(size_t input_bytes)> ahead = {};
};

// What training needs in memory, in bytes, planned from the shapes: nothing is computed, and a GPU need not be there.
// What its libraries want while a kernel runs is not in it: cuDNN says so only on the device, and up to 1 GiB of it is
// allowed (cuda/plans.h).
struct TrainingMemory {
  size_t weights = 0;  // parameters, running statistics, moments of the optimizer, gradients that lie in one buffer
  size_t arena = 0;    // all values of the step, and what its kernels need while they run
  size_t widened = 0;  // f32 copies for the largest kernel, where the CPU computes on bf16
  size_t inputs = 0;   // those made ahead, the one that is taken (on a GPU as sent and as received), and the Program's
  size_t total() const { return weights + arena + widened + inputs; }
};
TrainingMemory plan_training(const ModelOptions& model, int64_t size, int64_t batch, const TaskLoss& o = {},
                             int64_t recompute = 0, const TrainingPlace& place = {});
// The largest batch 1, 2, 4, ... up to `most` whose training fits in so many bytes; 0: not even one image does.
int64_t largest_batch(const ModelOptions& model, int64_t size, size_t bytes, int64_t most, const TaskLoss& o = {},
                      int64_t recompute = 0, const TrainingPlace& place = {});

}  // namespace querent
