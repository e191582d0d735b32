// A network that is asked, not trained: every pass is a replay of a Program (tensor/program.h), captured with the first
// batch of a shape, with the bits of eager passes. One Program for each kind of question lives at a time, for the last
// shape of batch. The weights are read where they are: they may change between questions.
#pragma once
#include <functional>
#include <optional>
#include <span>

#include "models/model.h"
#include "tensor/program.h"

namespace querent {

class Inference {
 public:
  // `embeds`: answers carry the features of model.embed as well.
  explicit Inference(const Model& model, bool embeds = false) : model_(model), embeds_(embeds) {}

  // What the network says about the rows of x [N,H,W,C], which may lie anywhere; the answer lies where the network
  // does, and its bytes are overwritten by the next question.
  struct Answer {
    Tensor probability;  // sigmoid of one class, softmax of more: [N,C] or [N,H,W,C]
    Output output;
    Tensor features;  // [N,D] when asked for
  };
  Answer operator()(const Tensor& x);              // dropout off
  Tensor features(const Tensor& x);                // of model.embed alone
  const Tensors& stage_averages(const Tensor& x);  // the global average of each of model.stages, [N,C_i]

  // T passes with dropout, in order. `ids` names the rows: the masks of a row depend on (seed, id, pass) alone. What
  // comes before the first dropout is computed once; a few passes lie in one batch when the batch is small.
  void sample(const Tensor& x, std::span<const int64_t> ids, int64_t passes, uint64_t seed,
              const std::function<void(int64_t pass, const Answer& answer)>& use);

  size_t arena_bytes() const;  // of the Programs that live

 private:
  struct Captured {
    std::optional<Program> program;
    Shape x;
    int64_t together = 1;  // passes in one batch
  };
  const Tensors& start(Captured& c, int64_t together, Tensors inputs, const std::function<Tensors(Inputs)>& step) const;
  Tensors answer(const Tensor& x, const Tensor& streams) const;
  Model model_;
  bool embeds_;
  Captured evaluation_, sampling_, embedding_, stages_;
};

// p of logits: sigmoid for one class, softmax for more.
Tensor probability_of(const Tensor& logits);

}  // namespace querent
