#include "models/train.h"

#include <cmath>

#include "tensor/ops.h"
#include "tensor/tape.h"

namespace querent {
namespace {

// [*] -> [*,C] with 1 at the label, in `dtype`. One class: the label itself. Labels outside 0..C-1 give zeros.
Tensor one_hot(const Tensor& labels, int64_t classes, DType dtype) {
  Shape shape = labels.shape();
  shape.push_back(classes);
  std::vector<float> hot(static_cast<size_t>(shape.numel()), 0);
  const int64_t* label = labels.data<int64_t>();
  for (int64_t i = 0; i < labels.numel(); ++i) {
    if (classes == 1)
      hot[static_cast<size_t>(i)] = label[i] > 0;
    else if (label[i] >= 0 && label[i] < classes)
      hot[static_cast<size_t>(i * classes + label[i])] = 1;
  }
  return Tensor::from(std::span<const float>(hot), shape, dtype);
}

// Per-element weights of a binary problem from the weights of its two classes; none without weights.
Tensor binary_weights(const Tensor& target, const Tensor& class_weights) {
  if (!class_weights) return {};
  check(class_weights.numel() == 2, "loss: a binary task takes two class weights, got {}", class_weights);
  const std::vector<float> w = class_weights.host(), t = target.host();
  std::vector<float> out(t.size());
  for (size_t i = 0; i < t.size(); ++i) out[i] = w[t[i] > 0 ? 1 : 0];
  return Tensor::from(std::span<const float>(out), target.shape(), target.dtype());
}

Tensor cross_entropy_term(const Output& out, const Tensor& labels, const Tensor& target, const Tensor& streams,
                          const TaskLoss& o) {
  const int64_t classes = out.logits.dim(-1), rows = labels.numel();
  if (out.log_var)
    return sampled_cross_entropy(out.logits, out.log_var, labels, streams, {.samples = o.samples, .site = 1});
  if (classes == 1) return bce_with_logits(out.logits, target, binary_weights(target, o.class_weights));
  return cross_entropy(reshape(out.logits, {rows, classes}), labels.reshaped({rows}), o.class_weights);
}

}  // namespace

Tensor task_loss(const Model& model, const Output& out, const Tensor& labels, const Tensor& streams,
                 const TaskLoss& o) {
  Shape expected;
  for (int i = 0; i + 1 < out.logits.rank(); ++i) expected.push_back(out.logits.dim(i));
  check(labels && labels.dtype() == DType::i64 && labels.shape() == expected, "loss: {} needs labels i64{}, got {}",
        model.options.name, expected, labels);
  check(!out.log_var || streams, "loss: a model with a log-variance head needs random streams; see make_streams()");
  const int64_t classes = out.logits.dim(-1);
  const bool dice = model.segments && o.dice;
  const Tensor target = classes == 1 || dice ? one_hot(labels, classes, out.logits.dtype()) : Tensor{};
  const Tensor loss = cross_entropy_term(out, labels, target, streams, o);
  if (!dice) return loss;
  return add(loss, soft_dice_loss(classes == 1 ? sigmoid(out.logits) : softmax(out.logits), target));
}

double train_step(const Model& model, Optimizer& optimizer, const Tensor& x, const Tensor& labels,
                  const Tensor& streams, const TaskLoss& o) {
  Tape tape;
  const Output out = model.forward(x, {Pass::train, streams});
  const Tensor loss = task_loss(model, out, labels, streams, o);
  const double value = loss.item();
  check(std::isfinite(value),
        "training: the loss is {}; lower the learning rate or check the images for non-finite values", value);
  optimizer.step(tape.backward(loss, optimizer.params()));
  return value;
}

}  // namespace querent
