#include "tensor/program.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "tensor/backend.h"
#include "tensor/capture.h"
#include "tensor/cpu/conv_plan.h"
#include "tensor/cpu/scratch.h"
#include "tensor/tape.h"

namespace querent {

extern const Op assign_op, begin_rank_mean_op, end_rank_mean_op;

namespace {

thread_local Capture* current_capture = nullptr;

constexpr size_t alignment = 64;

// First and last record that touch what lies in a place of its own.
struct Lifetime {
  uint64_t storage;
  size_t bytes, first, last;
};

std::vector<Lifetime> lifetimes(const Capture& c) {
  std::map<uint64_t, Lifetime> all;
  const auto touch = [&](const Value& v, size_t when) {
    if (!v.tensor || !c.is_made(v)) return;
    const Capture::Place p = c.resolve(v.storage, 0);
    if (p.outside) return;
    const auto [it, is_new] = all.try_emplace(p.storage, Lifetime{p.storage, c.made.at(p.storage), when, when});
    it->second.last = std::max(it->second.last, when);
  };
  for (size_t i = 0; i < c.records.size(); ++i) {
    if (c.records[i].dropped) continue;
    for (const Value& v : c.records[i].in) touch(v, i);
    for (const Value& v : c.records[i].out) touch(v, i);
    touch(c.records[i].scratch, i);
  }
  for (const Value& v : c.results) touch(v, c.records.size());
  for (const Capture::Guard& g : c.guards) touch(g.value, g.record);
  std::vector<Lifetime> list;
  for (auto& [storage, life] : all) {
    if (life.first < c.steady && life.last >= c.steady) life.last = c.records.size();  // read again by each replay
    list.push_back(life);
  }
  return list;
}

struct Layout {
  std::map<uint64_t, size_t> offsets;
  size_t total = 0;
};

// Offsets in one arena for values in the given order, each at the lowest place that is free for its whole lifetime.
Layout lay_out(const std::vector<Lifetime>& values) {
  struct Slot {
    size_t begin, end, first, last;
  };
  std::vector<Slot> taken;  // in the order of their beginnings
  Layout l;
  for (const Lifetime& v : values) {
    const size_t bytes = (v.bytes + alignment - 1) / alignment * alignment;
    size_t at = 0;
    for (const Slot& s : taken) {
      if (s.last < v.first || s.first > v.last) continue;
      if (at + bytes <= s.begin) break;
      at = std::max(at, s.end);
    }
    const Slot slot{at, at + bytes, v.first, v.last};
    const auto before = [](const Slot& x, const Slot& y) { return x.begin < y.begin; };
    taken.insert(std::upper_bound(taken.begin(), taken.end(), slot, before), slot);
    l.offsets[v.storage] = at;
    l.total = std::max(l.total, at + bytes);
  }
  return l;
}

// The best of a few orders: large first, long-lived first, and as they are made. None is best for every network.
Layout best_layout(std::vector<Lifetime> values) {
  const auto time = [](const Lifetime& v) { return v.last - v.first + 1; };
  const std::function<bool(const Lifetime&, const Lifetime&)> orders[] = {
      [](const Lifetime& a, const Lifetime& b) { return a.bytes > b.bytes; },
      [&](const Lifetime& a, const Lifetime& b) { return a.bytes * time(a) > b.bytes * time(b); },
      [&](const Lifetime& a, const Lifetime& b) { return time(a) > time(b); },
      [](const Lifetime& a, const Lifetime& b) { return a.first < b.first; },
  };
  Layout best;
  for (const auto& order : orders) {
    std::stable_sort(values.begin(), values.end(), order);
    Layout l = lay_out(values);
    if (best.offsets.empty() || l.total < best.total) best = std::move(l);
  }
  return best;
}

// What kernels need while they run is a value, too, which lives for one record.
void add_scratch(Capture& c) {
  const DryRun no_bytes;
  for (CapturedRecord& r : c.records) {
    if (r.dropped || r.kind == KernelKind::cuda || r.kind == KernelKind::ref) continue;
    Tensors in, out;
    for (const Value& v : r.in) in.push_back(v.tensor);
    for (const Value& v : r.out) out.push_back(v.tensor);
    const int64_t floats = cpu::scratch_floats(*r.op, {in, out, r.attrs});
    if (floats == 0) continue;
    const Tensor t = Tensor::empty({floats}, DType::f32);
    c.made[t.storage()->id()] = t.bytes();
    r.scratch = c.value_of(t);
  }
}

Device device_of(const Capture& c) {
  for (const CapturedRecord& r : c.records) {
    for (const Value& v : r.out) return v.tensor.device();
  }
  return Device::cpu();
}

// What depends on nothing but steady inputs and on tensors from outside that no op changes goes to the front.
void steady_first(Capture& c, Inputs varying_inputs) {
  querent::check(c.guards.empty(), "program: a step with steady inputs cannot check for finite values");
  std::unordered_set<uint64_t> varying = c.mutated;
  for (const Tensor& t : varying_inputs) {
    if (t) varying.insert(t.storage()->id());
  }
  std::vector<CapturedRecord> front, back;
  for (CapturedRecord& r : c.records) {
    const bool varies = std::any_of(r.in.begin(), r.in.end(), [&](const Value& v) { return varying.contains(v.storage); });
    if (varies)
      for (const Value& v : r.out) varying.insert(v.storage);
    (varies ? back : front).push_back(std::move(r));
  }
  c.steady = front.size();
  c.records = std::move(front);
  std::move(back.begin(), back.end(), std::back_inserter(c.records));
}

// Bytes of what the step made by hand and its records use.
size_t constant_bytes(const Capture& c) {
  std::map<uint64_t, size_t> constants;
  for (const CapturedRecord& r : c.records) {
    for (const Value& v : r.in) {
      if (v.tensor && !c.is_made(v) && v.storage > c.first_storage) constants[v.storage] = v.tensor.storage()->bytes();
    }
  }
  size_t bytes = 0;
  for (const auto& [storage, size] : constants) bytes += size;
  return bytes;
}

void check_finite(double value, const std::string& message) {
  if (!std::isfinite(value)) fail(message, value);
}

}  // namespace

Value Capture::value_of(const Tensor& t) const {
  if (!t) return {};
  internal_check(t.storage() != nullptr, "program: {} was released before the step was captured", t);
  const uint64_t storage = t.storage()->id();
  return {made.contains(storage) ? t.husk() : t, storage, t.byte_offset()};
}

Capture::Place Capture::resolve(uint64_t storage, size_t offset) const {
  for (auto it = placed.find(storage); it != placed.end(); it = placed.find(storage)) {
    if (it->second.outside) return {0, offset, it->second.outside};
    storage = it->second.storage;
    offset += it->second.offset;
  }
  return {storage, offset, {}};
}

void Program::record(const Op& op, const Attrs& attrs, Inputs in, Inputs out, KernelKind kind) {
  Capture* const c = current_capture;
  if (!c) return;
  CapturedRecord r{&op, attrs, {}, {}, kind};
  for (size_t i = 0; i < in.size(); ++i) {
    const Value v = c->value_of(in[i]);
    r.in.push_back(v);
    if (!v.tensor || !op.inputs[std::min(i, op.inputs.size() - 1)].is(Arg::mutated)) continue;
    // A buffer made by hand inside the step is made once and for all: it must be overwritten, not added to. A mean over
    // ranks takes what was overwritten.
    const bool overwrites = &op == &assign_op || &op == &begin_rank_mean_op || &op == &end_rank_mean_op;
    internal_check(c->is_made(v) || v.storage < c->first_storage || overwrites,
                   "program: {} changes {}, which the step made outside of any op; make it before the step", op.name,
                   in[i]);
    c->mutated.insert(v.storage);
  }
  for (const Tensor& t : out) {
    c->made[t.storage()->id()] = t.storage()->bytes();
    r.out.push_back(c->value_of(t));
  }
  c->records.push_back(std::move(r));
}

bool Program::is_capturing() { return current_capture != nullptr; }

Program Program::capture(const std::function<Tensors(Inputs)>& step, const Tensors& example,
                         std::optional<size_t> steady) {
  querent::check(!current_capture, "program: a step that is being captured cannot capture another");
  querent::check(!Tape::current(), "program: a step cannot be captured under a tape; the tape belongs inside the step");
  Program p;
  for (const Tensor& t : example) p.inputs_.push_back(t ? t.clone() : t);
  Capture c;
  c.first_storage = Tensor::empty({1}).storage()->id();
  {
    const struct Reset {
      Capture* before = nullptr;
      ~Reset() { current_capture = before; }
    } reset;
    current_capture = &c;
    const HostAccess forbidden(false);
    for (const Tensor& t : step(p.inputs_)) c.results.push_back(c.value_of(t));
  }
  p.captured_ = c.records.size();
  p.steady_inputs_ = steady;
  if (steady) steady_first(c, Inputs(p.inputs_).subspan(*steady));
  for (const Rule& rule : program_rules()) rule.apply(c);
  for (CapturedRecord& r : c.records)
    if (r.dropped) r.in.clear(), r.out.clear();  // and what only they hold
  add_scratch(c);
  for (const CapturedRecord& r : c.records) {
    if (r.dropped) continue;
    for (const Value& v : r.out) p.value_bytes_ += c.resolve(v.storage, 0).outside ? 0 : c.made.at(v.storage);
    p.value_bytes_ += r.scratch.tensor ? r.scratch.tensor.bytes() : 0;
  }
  p.constant_bytes_ = querent::constant_bytes(c);
  const Layout layout = best_layout(lifetimes(c));
  const Device device = device_of(c);
  if (device == Device::cpu()) release_free_memory();  // what was needed to come here
  p.arena_ = DryRun::active() ? Storage::promise(layout.total, device) : Storage::allocate_apart(layout.total, device);
  const auto bind = [&](const Value& v) {
    if (!v.tensor || !c.is_made(v)) return v.tensor;
    const Capture::Place place = c.resolve(v.storage, v.offset);
    Tensor t = place.outside ? Tensor::on(place.outside.storage(), place.outside.byte_offset() + place.offset,
                                          v.tensor.shape(), v.tensor.dtype())
                             : Tensor::on(p.arena_, layout.offsets.at(place.storage) + place.offset, v.tensor.shape(),
                                          v.tensor.dtype());
    return t.named(v.tensor.name());
  };
  std::vector<size_t> step_of;  // record -> the step that it became or that follows it
  for (const CapturedRecord& r : c.records) {
    step_of.push_back(p.steps_.size());
    if (r.dropped) continue;
    Step s{r.op, r.attrs, {}, {}, bind(r.scratch), r.kind};
    for (const Value& v : r.in) s.in.push_back(bind(v));
    for (const Value& v : r.out) s.out.push_back(bind(v));
    p.steps_.push_back(std::move(s));
  }
  step_of.push_back(p.steps_.size());
  for (const Capture::Guard& g : c.guards) p.guards_.push_back({step_of[g.record], bind(g.value), g.message});
  for (const Value& v : c.results) p.results_.push_back(bind(v));
  for (const Guard& g : p.guards_) p.ends_.push_back(g.step);
  if (p.steady_inputs_) p.ends_.push_back(step_of[c.steady]);
  p.ends_.push_back(p.steps_.size());
  if (DryRun::active()) return p;
  p.replay(0);  // kernel by kernel: a GPU's libraries choose their plans before anything is recorded
  if (device.kind == Device::Kind::cuda) {
    std::vector<std::shared_ptr<void>> recordings;
    for (size_t piece = 0; piece < p.ends_.size(); ++piece)
      recordings.push_back(backend(device).record([&] { p.run_piece(piece); }, device.index));
    p.recordings_ = std::move(recordings);
  }
  return p;
}

void Program::take(size_t first, const Tensors& inputs) {
  querent::check(!current_capture && !Tape::current(),
                 "program: a replay cannot be recorded; run the step eagerly for that");
  querent::check(first + inputs.size() == inputs_.size(), "program: captured with {} inputs, got {}",
                 inputs_.size() - first, inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Tensor& mine = inputs_[first + i];
    querent::check(static_cast<bool>(inputs[i]) == static_cast<bool>(mine),
                   "program: input {} must be {}, as it was captured", first + i, mine ? "given" : "none");
    if (mine) mine.copy_from(inputs[i]);
  }
}

const Tensors& Program::operator()(const Tensors& inputs) {
  take(0, inputs);
  return replay(0);
}

const Tensors& Program::again(const Tensors& varying) {
  querent::check(steady_inputs_.has_value(), "program: captured without steady inputs; replay all of it");
  take(*steady_inputs_, varying);
  return replay(1);
}

const Tensors& Program::replay(size_t first_piece) {
  Ledger* const ledger = Ledger::current();
  for (size_t piece = first_piece; piece < ends_.size(); ++piece) {
    run_piece(piece);
    if (piece < guards_.size()) check_finite(guards_[piece].value.item(), guards_[piece].message);
  }
  for (size_t i = first_of(first_piece); ledger && i < steps_.size(); ++i) {
    const Step& s = steps_[i];
    ledger->add({s.op, s.attrs, s.in, s.out, s.kind});
  }
  return results_;
}

void Program::run_piece(size_t piece) {
  if (!recordings_.empty()) {
    const int device = arena_->device().index;
    return backend(arena_->device()).launch(recordings_[piece].get(), device);
  }
  for (size_t i = first_of(piece); i < ends_[piece]; ++i) {
    const Step& s = steps_[i];
    const cpu::Workspace lent(s.scratch);
    compute(*s.op, s.kind, {s.in, s.out, s.attrs});
  }
}

size_t Program::widened_bytes() const {
  size_t most = 0;
  for (const Step& s : steps_) most = std::max(most, querent::widened_bytes(s.kind, {s.in, s.out, s.attrs}));
  return most;
}

void Program::check() const {
  for (const Step& s : steps_) {
    const std::vector<TensorSpec> specs = s.op->infer(s.in, s.attrs);
    internal_check(specs.size() == s.out.size(), "program: {} infers {} results, the record has {}", s.op->name,
                   specs.size(), s.out.size());
    for (size_t i = 0; i < specs.size(); ++i)
      internal_check(specs[i].shape == s.out[i].shape() && specs[i].dtype == s.out[i].dtype(),
                     "program: {} infers {}{}, the record has {}", s.op->name, specs[i].dtype, specs[i].shape,
                     s.out[i]);
  }
}

std::string Program::listing() const {
  const NoTape no_tape;
  Ledger ledger;
  for (const Step& s : steps_) ledger.add({s.op, s.attrs, s.in, s.out, s.kind});
  return ledger.listing();
}
Totals Program::totals() const {
  Ledger ledger;
  for (const Step& s : steps_) ledger.add({s.op, s.attrs, s.in, s.out, s.kind});
  return ledger.totals();
}

void require_finite(const Tensor& value, std::string_view message) {
  if (Capture* const c = current_capture)
    c->guards.push_back({c->records.size(), c->value_of(value), std::string(message)});
  else
    check_finite(value.item(), std::string(message));
}

}  // namespace querent
