// Capture once, replay planned. A step that runs again and again on the same shapes is run once without computing; its
// records are then replayed: no shapes to infer, no tape to keep, no memory to ask for, every value at its place in one
// arena. The first replay is part of the capture, so a step needs no more memory the first time than any other time.
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
#include <optional>
#include <string>

#include "tensor/ledger.h"
#include "tensor/run.h"

namespace querent {

class Program {
 public:
  // Calls step(inputs) once on copies of `example`; an input may be "none". results() are those of `example`. With
  // `steady`, that many of the first inputs keep their values for several replays, and so do the tensors from outside
  // that no op changes; what depends on them alone is computed first and kept. In a DryRun nothing but the plan is made.
  static Program capture(const std::function<Tensors(Inputs)>& step, const Tensors& example,
                         std::optional<size_t> steady = {});
  // One replay on the bytes of `inputs`, shapes as in the example. The results are overwritten by the next call.
  const Tensors& operator()(const Tensors& inputs);
  // The same for other values of the inputs behind the steady ones: only what depends on them is computed again.
  const Tensors& again(const Tensors& varying);
  const Tensors& results() const { return results_; }

  size_t size() const { return steps_.size(); }  // records that are replayed
  size_t captured() const { return captured_; }  // records of the eager step: fusion and in-place rules drop some
  size_t steady() const { return steady_inputs_ ? ends_[0] : 0; }  // records that again() leaves out
  size_t arena_bytes() const { return arena_ ? arena_->bytes() : 0; }
  size_t constant_bytes() const { return constant_bytes_; }  // of tensors that the step made outside of any op
  // All values of the step and all that its kernels need while they run, were none to share its place.
  size_t value_bytes() const { return value_bytes_; }
  size_t widened_bytes() const;  // at most, that a step takes from the pool: f32 copies of bf16 (run.h)
  void check() const;                                  // infers every record anew; an internal Error when one disagrees
  std::string listing() const;                         // one line per record
  Totals totals() const;

  // For run(): adds a record to the capture under way in this thread, if there is one.
  static void record(const Op& op, const Attrs& attrs, Inputs in, Inputs out, KernelKind kind);
  static bool is_capturing();  // in this thread: ops record and do not compute

 private:
  friend void require_finite(const Tensor&, std::string_view);
  struct Step {
    const Op* op;
    Attrs attrs;
    Tensors in, out;
    Tensor scratch;  // of the kernel, or none
    KernelKind kind;
  };
  struct Guard {  // before step `step` is replayed, `value` must be finite
    size_t step;
    Tensor value;
    std::string message;
  };
  void take(size_t first, const Tensors& inputs);
  const Tensors& replay(size_t first_piece);
  void run_piece(size_t piece);
  size_t first_of(size_t piece) const { return piece ? ends_[piece - 1] : 0; }
  std::vector<Step> steps_;
  std::vector<Guard> guards_;  // by step
  Tensors inputs_, results_;
  std::shared_ptr<Storage> arena_;
  std::vector<size_t> ends_;  // of the pieces that run without a look at the host in between: the step after the last
  std::vector<std::shared_ptr<void>> recordings_;  // on a GPU: the pieces
  size_t captured_ = 0, value_bytes_ = 0, constant_bytes_ = 0;
  std::optional<size_t> steady_inputs_;
};

// Throws an Error with `message` ("{}" is the value) unless the one-element tensor is finite; a replay checks at the
// same point of the step, before anything that follows.
void require_finite(const Tensor& value, std::string_view message);

}  // namespace querent
