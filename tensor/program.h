// Capture once, replay planned. A step that runs again and again on the same shapes is run once as it is; its records
// are then replayed: no shapes to infer, no tape to keep, no memory to ask for, every value at its place in one arena.
//
// On a GPU the replay is one graph launch (backend.h), or one between two require_finite().
//
//   Program p = Program::capture([&](Inputs in) { return Tensors{step(in[0], in[1])}; }, {x, labels});
//   const Tensor loss = p({x2, labels2})[0];
//
// Eager run() is the semantics: a replay has the same bits. A captured step obeys three rules: shapes are fixed; what
// varies from step to step comes in through the inputs (learning rate, random streams); nothing is read or written on
// the host inside, which is an Error. Tensors from outside (parameters, moments, running statistics) are used where
// they are and may be changed in place by ops; they keep their place for as long as the Program lives.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "tensor/ledger.h"
#include "tensor/run.h"

namespace querent {

class Program {
 public:
  // Calls step(inputs) once on copies of `example`; an input may be "none". results() are those of this first step.
  static Program capture(const std::function<Tensors(Inputs)>& step, const Tensors& example);
  // One replay on the bytes of `inputs`, shapes as in the example. The results are overwritten by the next call.
  const Tensors& operator()(const Tensors& inputs);
  const Tensors& results() const { return results_; }

  size_t size() const { return steps_.size(); }  // records that are replayed
  size_t captured() const { return captured_; }  // records of the eager step: fusion and in-place rules drop some
  size_t arena_bytes() const { return arena_ ? arena_->bytes() : 0; }
  size_t value_bytes() const { return value_bytes_; }  // all values of the step, were none to share its place
  void check() const;                                  // infers every record anew; an internal Error when one disagrees
  std::string listing() const;                         // one line per record
  Totals totals() const;

  // For run(): adds a record to the capture under way in this thread, if there is one.
  static void record(const Op& op, const Attrs& attrs, Inputs in, Inputs out, KernelKind kind);

 private:
  friend void require_finite(const Tensor&, std::string_view);
  struct Step {
    const Op* op;
    Attrs attrs;
    Tensors in, out;
    KernelKind kind;
    Kernel* kernel;
  };
  struct Guard {  // before step `step` is replayed, `value` must be finite
    size_t step;
    Tensor value;
    std::string message;
  };
  void run_piece(size_t piece);  // the steps between two guards

  std::vector<Step> steps_;
  std::vector<Guard> guards_;  // by step
  Tensors inputs_, results_;
  std::shared_ptr<Storage> arena_;
  std::vector<std::shared_ptr<void>> recordings_;  // on a GPU: the steps up to each guard, then the rest
  size_t captured_ = 0, value_bytes_ = 0;
};

// Throws an Error with `message` ("{}" is the value) unless the one-element tensor is finite; a replay checks at the
// same point of the step, before anything that follows.
void require_finite(const Tensor& value, std::string_view message);

}  // namespace querent
