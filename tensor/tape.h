// Recording and backward. A tape is already in order: walking it backwards needs no graph and no sort.
#pragma once
#include <functional>
#include <unordered_set>
#include <vector>

#include "tensor/run.h"

namespace querent {

// Parameters and where each lies in one flat buffer (offsets in elements).
struct ParamSet {
  Tensors tensors;
  std::vector<int64_t> offsets;
  int64_t total = 0;
  Tensor flat;  // the arena itself, f32 [total], when the set is contiguous in it; else none
};

// Gradients of a ParamSet: one flat buffer with the same offsets. Parameters the loss does not reach have zeros.
struct Gradients {
  ParamSet params;
  Tensor flat;                                       // [total]
  Tensor operator[](const Tensor& parameter) const;  // a view; Error when it is not in the set
};

// While a Tape lives it is the current tape of its thread: run() appends what leads from parameters or watched tensors.
class Tape {
 public:
  Tape();
  ~Tape();
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;
  static Tape* current();

  void watch(const Tensor& t) { tracked_.insert(t.id()); }
  void add(Record record);
  size_t size() const { return records_.size(); }

  // Consumes the tape. `loss` has one element; d(loss)/d(p) for each wanted parameter. Nothing is computed on paths
  // that lead to no wanted tensor. ready(flat, i) is told of each parameter when its gradient lies complete in the flat
  // buffer, those of the last layers first.
  using Ready = std::function<void(const Tensor& flat, size_t parameter)>;
  Gradients backward(const Tensor& loss, const ParamSet& wanted, const Ready& ready = {});
  // The same for any tensors, with upstream gradient `dy` (shape of y; none means 1). Results are in the order of
  // `wanted`; "none" where y does not depend on it. complete(i, gradient) is told of each as soon as it is known.
  using Complete = std::function<void(size_t wanted, const Tensor& gradient)>;
  Tensors backward(const Tensor& y, const Tensor& dy, Inputs wanted, const Complete& complete = {});

 private:
  friend Tensor recomputed(const std::function<Tensor()>& f);
  struct Region {  // records first .. end-1
    size_t first, end;
    std::unordered_set<uint64_t> made;  // inside
  };
  void recompute(const Region& region);
  std::vector<Record> records_;
  std::vector<Region> regions_;  // in order
  bool inside_ = false;          // the last of them
  std::unordered_set<uint64_t> tracked_;
  Tape* before_;
};

// y = f(), of which the tape keeps y and what came into f. Before backward reads the rest, it is computed again from
// the records of f (gradient checkpointing: Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost"). The
// bits are the same: random streams are inputs, and ops that change something in place have no results that could be
// asked for again. Without a tape, or inside of another, it is f() and no more.
Tensor recomputed(const std::function<Tensor()>& f);

// While one lives, nothing is recorded on a tape of this thread.
class NoTape {
 public:
  NoTape();
  ~NoTape();
  NoTape(const NoTape&) = delete;
  NoTape& operator=(const NoTape&) = delete;

 private:
  Tape* before_;
};

}  // namespace querent
