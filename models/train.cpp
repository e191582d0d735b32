#include "models/train.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "layers/rank_gradients.h"
#include "tensor/collective.h"
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

Tensor cross_entropy_term(const Output& out, const Targets& t, const Tensor& streams, const TaskLoss& o) {
  const int64_t classes = out.logits.dim(-1);
  if (out.log_var)
    return sampled_cross_entropy(out.logits, out.log_var, t.labels, streams, {.samples = o.samples, .site = 1});
  if (classes == 1) return bce_with_logits(out.logits, t.one_hot, t.weights);
  const int64_t rows = t.labels.numel();
  return cross_entropy(reshape(out.logits, {rows, classes}), t.labels.reshaped({rows}), o.class_weights);
}

// Which targets the losses of this model read.
bool reads_labels(const ModelOptions& m) { return m.log_var || m.classes > 1; }
bool compares_with_sigmoid(const ModelOptions& m) { return !m.log_var && m.classes == 1; }
bool reads_one_hot(const Model& m, const TaskLoss& o) {
  return compares_with_sigmoid(m.options) || (m.segments && o.dice);
}

Device device_of(const Optimizer& o) { return o.params().tensors[0].device(); }
Tensors moved(Tensors all, Device device) {
  for (Tensor& t : all) t = t ? t.to(device) : t;
  return all;
}

// Everything of a step but what is made on the host; it can be captured.
Tensor forward_backward_update(const Model& model, Optimizer& optimizer, const Tensor& x, const Targets& targets,
                               const Tensor& streams, const Tensor& hyper, const TaskLoss& o, int64_t recompute) {
  Tape tape;
  const Pass pass{Pass::train, streams, &optimizer.params(), recompute};
  const Tensor loss = task_loss(model, model.forward(x, pass), targets, streams, o);
  const Tensor of_ranks = rank_mean(loss);
  require_finite(of_ranks,
                 "training: the loss is {}; lower the learning rate or check the images for non-finite values");
  optimizer.apply(backward_of_ranks(tape, loss, optimizer.params()), hyper);
  return of_ranks;
}

}  // namespace

Targets make_targets(const Model& model, const Tensor& given, DType dtype, const TaskLoss& o) {
  check(given && given.dtype() == DType::i64, "loss: {} needs i64 labels, got {}", model.options.name, given);
  const Tensor labels = given.to(Device::cpu());  // looked at here, wherever they lie
  const int64_t classes = model.options.classes;
  Targets t;
  if (reads_labels(model.options)) t.labels = labels;
  if (reads_one_hot(model, o)) t.one_hot = one_hot(labels, classes, dtype);
  if (compares_with_sigmoid(model.options)) t.weights = binary_weights(t.one_hot, o.class_weights);
  return t;
}

Tensor task_loss(const Model& model, const Output& out, const Targets& targets, const Tensor& streams,
                 const TaskLoss& o) {
  const auto without_classes = [](const Shape& all) {
    Shape shape;
    for (int i = 0; i + 1 < all.rank(); ++i) shape.push_back(all[i]);
    return shape;
  };
  const Shape expected = without_classes(out.logits.shape()),
              given = targets.labels ? targets.labels.shape() : without_classes(targets.one_hot.shape());
  check(given == expected, "loss: {} needs labels i64{}, got labels of {}", model.options.name, expected, given);
  check(!out.log_var || streams, "loss: a model with a log-variance head needs random streams; see make_streams()");
  Tensor loss = cross_entropy_term(out, targets, streams, o);
  if (o.l2 > 0) loss = add(loss, scale(sum(square(o.decayed)), o.l2));
  if (!model.segments || !o.dice) return loss;
  return add(loss,
             soft_dice_loss(out.logits.dim(-1) == 1 ? sigmoid(out.logits) : softmax(out.logits), targets.one_hot));
}

ParamSet last_layers(const Model& model, const Params& params, int64_t depth) {
  if (depth == 0) return params.all();
  const auto is_output = [&](const Tensor& t) {
    return std::any_of(model.last_layer.begin(), model.last_layer.end(),
                       [&](const std::string& prefix) { return t.name().starts_with(prefix); });
  };
  const auto starts_layer = [&](const Tensor& t) { return t.rank() >= 2 && !is_output(t); };
  const Tensors& all = params.all().tensors;
  const int64_t layers = 1 + std::count_if(all.begin(), all.end(), starts_layer);
  check(depth >= 1 && depth <= layers, "train: {} has {} layers; tune the last 1 to {} of them, or 0 for all, not {}",
        model.options.name, layers, layers, depth);
  std::unordered_set<uint64_t> tuned;
  int64_t layer = 0;  // counted from the first; parameters are in the order of construction
  for (const Tensor& t : all) {
    layer += starts_layer(t);
    if (is_output(t) || layer > layers - depth) tuned.insert(t.id());
  }
  return params.where([&](const Tensor& t) { return tuned.contains(t.id()); });
}

double train_step(const Model& model, Optimizer& optimizer, const Tensor& x, const Tensor& labels,
                  const Tensor& streams, const TaskLoss& o, int64_t recompute) {
  const Targets t = make_targets(model, labels, x.dtype(), o);
  const Tensors in = moved({x, t.labels, t.one_hot, t.weights, streams, o.class_weights}, device_of(optimizer));
  TaskLoss loss = o;
  loss.class_weights = in[5];
  return forward_backward_update(model, optimizer, in[0], {in[1], in[2], in[3]}, in[4], optimizer.advance(), loss,
                                 recompute)
      .item();
}

TrainingStep::TrainingStep(const Model& model, Optimizer& optimizer, const TaskLoss& loss, int64_t recompute)
    : model_(model), optimizer_(optimizer), loss_(loss), loss_there_(loss), recompute_(recompute) {
  loss_there_.class_weights = moved({loss.class_weights}, device_of(optimizer))[0];
}

TrainingInput TrainingStep::prepare(const Tensor& x, const Tensor& labels) const {
  const Targets t = make_targets(model_, labels, x.dtype(), loss_);
  const Device there = device_of(optimizer_);
  return {{x, there}, {t.labels, there}, {t.one_hot, there}, {t.weights, there}};
}

double TrainingStep::operator()(const TrainingInput& in, const Tensor& streams) {
  const Tensor x = in.x.receive();
  const Tensors inputs = {x,       in.labels.receive(), in.one_hot.receive(), in.weights.receive(),
                          streams, optimizer_.advance()};
  if (program_ && shape_ == x.shape()) return (*program_)(inputs)[0].item();
  shape_ = x.shape();
  program_.reset();  // its memory first
  program_ = Program::capture(
      [&](Inputs in) {
        return Tensors{
            forward_backward_update(model_, optimizer_, in[0], {in[1], in[2], in[3]}, in[4], in[5], loss_there_, recompute_)};
      },
      moved(inputs, device_of(optimizer_)));
  return program_->results()[0].item();
}

int64_t share_of_batch(int64_t batch, std::string_view who) {
  const int64_t ranks = collective().size;
  check(batch % ranks == 0, "{}: a batch of {} images cannot be shared by {} ranks; use a multiple of {}", who, batch,
        ranks, ranks);
  return batch / ranks;
}

TrainingMemory plan_training(const ModelOptions& options, int64_t size, int64_t batch, const TaskLoss& o,
                             int64_t recompute, const TrainingPlace& place) {
  const DryRun dry;
  Params params(place.device);
  const Model model = make_model(options, params);
  Optimizer optimizer(params.all(), {.kind = OptimOptions::adamw});
  const Shape labels = model.segments ? Shape{batch, size, size} : Shape{batch};
  Shape one_hot = labels;
  one_hot.push_back(options.classes);
  const auto input = [&](const Shape& shape, DType type = DType::f32) {
    return Tensor::empty(shape, type, place.device);
  };
  Tensors made = {input({batch, size, size, model.options.in_channels}), {}, {}, {}};  // x, Targets
  if (reads_labels(options)) made[1] = input(labels, DType::i64);
  if (reads_one_hot(model, o)) made[2] = input(one_hot);
  if (compares_with_sigmoid(options) && o.class_weights) made[3] = input(one_hot);
  Tensors inputs = made;
  inputs.push_back(input({batch, 2}, DType::i64));
  inputs.push_back(optimizer.advance().to(place.device));
  const Program p = Program::capture(
      [&](Inputs in) {
        return Tensors{
            forward_backward_update(model, optimizer, in[0], {in[1], in[2], in[3]}, in[4], in[5], o, recompute)};
      },
      inputs);
  TrainingMemory m;
  m.weights = params.all().flat.bytes() + p.constant_bytes();
  for (const Tensor& b : params.buffers()) m.weights += b.bytes();
  for (const Tensor& moment : optimizer.state()) m.weights += moment.bytes();
  m.arena = p.arena_bytes();
  m.widened = p.widened_bytes();
  size_t input_bytes = 0;
  for (const Tensor& t : made) input_bytes += t ? t.bytes() : 0;
  const int64_t ahead = place.ahead ? place.ahead(input_bytes) : 0, taken = place.device == Device::cpu() ? 1 : 2;
  m.inputs = static_cast<size_t>(ahead + taken) * input_bytes;
  for (const Tensor& in : inputs) m.inputs += in ? in.bytes() : 0;
  return m;
}

int64_t largest_batch(const ModelOptions& model, int64_t size, size_t bytes, int64_t most, const TaskLoss& o,
                      int64_t recompute, const TrainingPlace& place) {
  int64_t best = 0;
  for (int64_t n = 1; n <= most && plan_training(model, size, n, o, recompute, place).total() <= bytes; n *= 2)
    best = n;
  return best;
}

}  // namespace querent
