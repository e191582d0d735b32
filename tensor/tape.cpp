#include "tensor/tape.h"

#include <algorithm>
#include <functional>
#include <map>
#include <unordered_map>
#include <utility>

#include "tensor/ops.h"

namespace querent {
namespace {

thread_local Tape* current_tape = nullptr;

bool kept(const Op& op, std::string_view name) {
  return std::find(op.keep.begin(), op.keep.end(), name) != op.keep.end();
}

// Does the op's gradient read its k-th input, or result?
bool reads_input(const Op& op, size_t k) { return kept(op, op.inputs[std::min(k, op.inputs.size() - 1)].name); }
bool reads_result(const Op& op, size_t k) { return kept(op, op.outputs[k].name); }

// Drops the bytes of everything that the op's gradient does not read.
void release_unread(Record& r) {
  for (size_t i = 0; i < r.in.size(); ++i)
    if (r.in[i] && !reads_input(*r.op, i)) r.in[i] = r.in[i].husk();
  for (size_t i = 0; i < r.out.size(); ++i)
    if (!reads_result(*r.op, i)) r.out[i] = r.out[i].husk();
}

bool is_husk(const Tensor& t) { return t && !t.storage(); }

}  // namespace

Tape::Tape() : before_(std::exchange(current_tape, this)) {}
Tape::~Tape() { current_tape = before_; }
Tape* Tape::current() { return current_tape; }
NoTape::NoTape() : before_(std::exchange(current_tape, nullptr)) {}
NoTape::~NoTape() { current_tape = before_; }

void Tape::add(Record r) {
  const bool leads_on = std::any_of(
      r.in.begin(), r.in.end(), [&](const Tensor& t) { return t && (t.is_parameter() || tracked_.contains(t.id())); });
  if (!leads_on && !inside_) return;
  for (const Tensor& t : r.out) {
    if (leads_on) tracked_.insert(t.id());
    if (inside_) regions_.back().made.insert(t.id());
  }
  if (!inside_) {
    release_unread(r);
  } else {  // statistics, [C], stay: they are small, and computing them again is a pass over all of x
    for (Tensors* side : {&r.in, &r.out})
      for (Tensor& t : *side)
        if (t && t.rank() > 1 && regions_.back().made.contains(t.id())) t = t.husk();
  }
  records_.push_back(std::move(r));
}

Tensor recomputed(const std::function<Tensor()>& f) {
  Tape* const tape = Tape::current();
  if (!tape || tape->inside_) return f();
  tape->regions_.push_back({tape->records_.size(), 0, {}});
  const struct Inside {
    bool& is;
    explicit Inside(bool& flag) : is(flag) { is = true; }
    ~Inside() { is = false; }
  } inside(tape->inside_);
  const Tensor y = f();
  Tape::Region& region = tape->regions_.back();
  region.end = tape->records_.size();
  for (size_t i = region.first; i < region.end; ++i)
    for (Tensors* side : {&tape->records_[i].in, &tape->records_[i].out})
      for (Tensor& t : *side)
        if (t && t.id() == y.id()) t = y;
  return y;
}

// Gives the records of a region that are still there what their gradients read.
void Tape::recompute(const Region& region) {
  std::vector<bool> runs(records_.size(), false);
  std::unordered_set<uint64_t> wanted;
  for (size_t i = records_.size(); i-- > region.first;) {
    const Record& r = records_[i];
    for (size_t k = 0; k < r.out.size(); ++k)
      if (is_husk(r.out[k]) && (reads_result(*r.op, k) || wanted.contains(r.out[k].id()))) runs[i] = true;
    for (size_t k = 0; k < r.in.size(); ++k)
      if (is_husk(r.in[k]) && (reads_input(*r.op, k) || runs[i])) wanted.insert(r.in[k].id());
  }
  std::unordered_map<uint64_t, Tensor> again;
  const auto fill = [&](Tensors& side) {
    for (Tensor& t : side) {
      const auto found = is_husk(t) ? again.find(t.id()) : again.end();
      if (found != again.end()) t.rebind(found->second.storage(), found->second.byte_offset());
    }
  };
  for (size_t i = region.first; i < records_.size(); ++i) {
    Record& r = records_[i];
    fill(r.in);
    if (runs[i]) {
      const Tensors out = run(*r.op, r.in, r.attrs);
      for (size_t k = 0; k < out.size(); ++k) again[r.out[k].id()] = out[k];
    }
    fill(r.out);
    release_unread(r);
  }
}

Tensors Tape::backward(const Tensor& y, const Tensor& dy, Inputs wanted, const Complete& complete) {
  const NoTape guard;
  check(!dy || dy.shape() == y.shape(), "backward: dy={} must have the shape of y={}", dy, y);
  check(dy || y.numel() == 1, "backward: the loss must have one element, got {}; reduce it with mean() or sum()", y);
  // Which values lie on a path from a wanted tensor?
  std::unordered_set<uint64_t> targets;
  for (const Tensor& t : wanted) targets.insert(t.id());
  std::unordered_set<uint64_t> live = targets;
  for (const Record& r : records_) {
    const bool any = std::any_of(r.in.begin(), r.in.end(), [&](const Tensor& t) { return t && live.contains(t.id()); });
    if (any)
      for (const Tensor& t : r.out) live.insert(t.id());
  }
  // A gradient is complete when the first record that reads its tensor has been walked past.
  std::unordered_map<uint64_t, size_t> first_reader;
  for (size_t i = 0; i < records_.size(); ++i)
    for (const Tensor& t : records_[i].in)
      if (t && targets.contains(t.id())) first_reader.try_emplace(t.id(), i);
  std::multimap<size_t, size_t, std::greater<>> incomplete;  // that record -> which of `wanted`
  for (size_t i = 0; i < wanted.size(); ++i) {
    const auto reader = first_reader.find(wanted[i].id());
    incomplete.emplace(reader == first_reader.end() ? records_.size() : reader->second, i);
  }
  // Walk backwards, adding up the gradient of each value.
  std::unordered_map<uint64_t, Tensor> gradient;
  gradient[y.id()] = dy ? dy : Tensor::full(y.shape(), 1, y.dtype(), y.device());
  Tensors result(wanted.size());
  const auto tell = [&] {
    for (auto it = incomplete.begin(); it != incomplete.end() && it->first >= records_.size();
         it = incomplete.erase(it)) {
      const auto found = gradient.find(wanted[it->second].id());
      if (found != gradient.end()) result[it->second] = found->second;
      if (complete) complete(it->second, result[it->second]);
    }
  };
  for (tell(); !records_.empty(); tell()) {
    const Record& last = records_.back();
    Tensors flowing;
    bool any = false;
    for (const Tensor& o : last.out) {
      const auto found = gradient.find(o.id());
      flowing.push_back(found == gradient.end() ? Tensor{} : found->second);
      if (found == gradient.end()) continue;
      any = true;
      if (!targets.contains(o.id())) gradient.erase(found);  // complete: no earlier record adds to it
    }
    std::vector<bool> need;
    for (const Tensor& t : last.in) need.push_back(any && t && live.contains(t.id()));
    if (std::find(need.begin(), need.end(), true) == need.end()) {
      records_.pop_back();
      continue;
    }
    while (!regions_.empty() && regions_.back().first >= records_.size()) regions_.pop_back();
    if (!regions_.empty() && records_.size() <= regions_.back().end) {
      recompute(regions_.back());
      regions_.pop_back();
    }
    const Record r = std::move(records_.back());
    records_.pop_back();
    const GradCall call{r.in, r.out, r.attrs, flowing, need};
    check(r.op->grad != no_gradient, "backward: {} has no gradient", r.op->name);
    const Tensors dx = r.op->grad(call);
    internal_check(dx.size() == r.in.size(), "backward: {} returned {} gradients for {} inputs", r.op->name, dx.size(),
                   r.in.size());
    for (size_t i = 0; i < dx.size(); ++i) {
      if (!dx[i] || !call.need[i]) continue;
      internal_check(dx[i].shape() == r.in[i].shape(), "backward: {} gave {} as the gradient of {}", r.op->name, dx[i],
                     r.in[i]);
      Tensor& slot = gradient[r.in[i].id()];
      slot = slot ? querent::add(slot, dx[i]) : dx[i];
    }
  }
  return result;
}

Gradients Tape::backward(const Tensor& loss, const ParamSet& wanted, const Ready& ready) {
  const DType dtype = wanted.tensors.empty() ? DType::f32 : wanted.tensors[0].dtype();
  Gradients g{wanted, Tensor::zeros({wanted.total}, dtype, loss.device())};
  backward(loss, {}, wanted.tensors, [&](size_t i, const Tensor& dp) {
    if (dp) assign(g[wanted.tensors[i]], dp);
    if (ready) ready(g.flat, i);
  });
  return g;
}

Tensor Gradients::operator[](const Tensor& parameter) const {
  for (size_t i = 0; i < params.tensors.size(); ++i) {
    if (params.tensors[i].id() != parameter.id()) continue;
    return flat.batch(params.offsets[i], parameter.numel()).reshaped(parameter.shape());
  }
  fail("gradients: {} is not in the set", parameter);
}

}  // namespace querent
