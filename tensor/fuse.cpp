// The rewrites a Program may apply to its records.
#include <algorithm>
#include <map>
#include <utility>

#include "tensor/capture.h"
#include "tensor/cpu/conv_plan.h"
#include "tensor/program_attrs.h"

namespace querent {

extern const Op cast_op, reshape_op, assign_op, conv2d_op, conv2d_epilogue_op, winograd_filters_op, batch_norm_train_op,
    batch_norm_eval_op, batch_norm_relu_op, batch_norm_grad_op, relu_op, relu_grad_op, add_op, add_relu_op,
    add_relu_grad_op, dropout_op;

namespace {

template <class F>
void each_value(const CapturedRecord& r, F f) {
  for (const Value& v : r.in) f(v);
  for (const Value& v : r.out) f(v);
}

bool used_after(const Capture& c, size_t record, uint64_t storage) {
  for (size_t i = record + 1; i < c.records.size(); ++i) {
    bool used = false;
    if (!c.records[i].dropped) each_value(c.records[i], [&](const Value& v) { used |= v.storage == storage; });
    if (used) return true;
  }
  const auto is_it = [&](const Value& v) { return v.storage == storage; };
  return std::any_of(c.results.begin(), c.results.end(), is_it) ||
         std::any_of(c.guards.begin(), c.guards.end(), [&](const Capture::Guard& g) { return is_it(g.value); });
}

// The record that makes it; 0 for what comes from outside.
size_t maker_of(const Capture& c, uint64_t storage) {
  for (size_t i = c.records.size(); i-- > 0;)
    for (const Value& v : c.records[i].out)
      if (v.storage == storage) return i;
  return 0;
}

// Is all that lies in this place gone after the record?
bool is_last_use(const Capture& c, size_t record, uint64_t root) {
  bool last = !c.mutated.contains(root);
  for (const auto& [storage, bytes] : c.made)
    last = last && (c.resolve(storage, 0).storage != root || !used_after(c, record, storage));
  return last;
}

// Which records read what a record made.
class Readers {
 public:
  explicit Readers(const Capture& c) : c_(c) {
    for (size_t i = 0; i < c.records.size(); ++i) {
      if (c.records[i].dropped) continue;
      for (const Value& v : c.records[i].in) by_[v.storage].push_back(i);
    }
    for (const Value& v : c.results) by_[v.storage].push_back(c.records.size());
    for (const Capture::Guard& g : c.guards) by_[g.value.storage].push_back(c.records.size());
  }
  // The one that reads the value when no other does, nothing changes it, and it runs by the same kind of kernel; else
  // null.
  CapturedRecord* only(const CapturedRecord& from, const Value& v, Capture& c) const {
    const auto it = by_.find(v.storage);
    if (it == by_.end() || it->second.size() != 1 || it->second[0] >= c.records.size()) return nullptr;
    CapturedRecord& r = c.records[it->second[0]];
    return c_.mutated.contains(v.storage) || r.kind != from.kind ? nullptr : &r;
  }

 private:
  const Capture& c_;
  std::map<uint64_t, std::vector<size_t>> by_;
};

// a + b of two values of one shape.
bool is_plain_sum(const CapturedRecord& r) {
  return r.op == &add_op && r.in[0].tensor.shape() == r.in[1].tensor.shape();
}
// y = relu(batch_norm_train(x)): one pass, and the value between the two is never written. In bf16 on the CPU the sign of
// a zero may differ (docs/architecture.md).
size_t norm_relu(Capture& c) {
  size_t dropped = 0;
  const Readers readers(c);
  for (CapturedRecord& r : c.records) {
    if (r.op != &batch_norm_train_op) continue;
    CapturedRecord* const relu = readers.only(r, r.out[0], c);
    if (!relu || relu->op != &relu_op) continue;
    r.op = &batch_norm_relu_op;
    r.in.emplace_back();  // residual
    r.out[0] = relu->out[0];
    relu->dropped = true;
    ++dropped;
  }
  return dropped;
}

bool on_cpu(const Value& v) { return v.tensor.device() == Device::cpu(); }
// What lies in bf16 was rounded when it was stored. A kernel of the CPU that keeps a value to itself leaves that out;
// those of the GPU round it.
bool is_rounded(const Value& v) { return v.tensor.dtype() == DType::bf16; }

// y = relu(batch_norm_train(x) + z), the end of a residual block, where z is there before: one pass, and neither the
// norm nor the sum is written.
size_t norm_add_relu(Capture& c) {
  size_t dropped = 0;
  const Readers readers(c);
  for (size_t i = 0; i < c.records.size(); ++i) {
    CapturedRecord& r = c.records[i];
    if (r.op != &batch_norm_train_op || (on_cpu(r.out[0]) && is_rounded(r.out[0]))) continue;
    CapturedRecord* const add = readers.only(r, r.out[0], c);
    if (!add || !is_plain_sum(*add)) continue;
    CapturedRecord* const relu = readers.only(*add, add->out[0], c);
    const Value z = add->in[add->in[0].storage == r.out[0].storage ? 1 : 0];
    if (!relu || relu->op != &relu_op || c.mutated.contains(z.storage) || maker_of(c, z.storage) > i) continue;
    r.op = &batch_norm_relu_op;
    r.in.push_back(z);
    r.out[0] = relu->out[0];
    add->dropped = relu->dropped = true;
    dropped += 2;
  }
  return dropped;
}

// relu(a + b) in one pass.
size_t add_relu(Capture& c) {
  size_t dropped = 0;
  const Readers readers(c);
  for (CapturedRecord& r : c.records) {
    if (r.dropped || !is_plain_sum(r)) continue;
    CapturedRecord* const relu = readers.only(r, r.out[0], c);
    if (!relu || relu->op != &relu_op) continue;
    r.op = &add_relu_op;
    r.out[0] = relu->out[0];
    relu->dropped = true;
    ++dropped;
  }
  return dropped;
}

// relu_grad(y, dy1 + dy2) in one pass.
size_t add_relu_gradient(Capture& c) {
  size_t dropped = 0;
  const Readers readers(c);
  for (CapturedRecord& r : c.records) {
    if (r.dropped || !is_plain_sum(r)) continue;
    CapturedRecord* const relu = readers.only(r, r.out[0], c);
    if (!relu || relu->op != &relu_grad_op || relu->in[1].storage != r.out[0].storage) continue;
    r.op = &add_relu_grad_op;
    r.in.insert(r.in.begin(), relu->in[0]);
    r.out[0] = relu->out[0];
    relu->dropped = true;
    ++dropped;
  }
  return dropped;
}

// batch_norm_grad(.., relu_grad(y, dy), ..): the former looks at y itself.
size_t norm_relu_gradient(Capture& c) {
  size_t dropped = 0;
  const Readers readers(c);
  for (CapturedRecord& r : c.records) {
    if (r.op != &relu_grad_op) continue;
    CapturedRecord* const norm = readers.only(r, r.out[0], c);
    if (!norm || norm->op != &batch_norm_grad_op || norm->in[2].storage != r.out[0].storage) continue;
    norm->in[2] = r.in[1];
    norm->in[5] = r.in[0];
    r.dropped = true;
    ++dropped;
  }
  return dropped;
}

// relu(batch_norm_eval(conv2d(x))), or one of the two: done to each output of the convolution before it is stored. On a
// GPU the convolution is a library's.
size_t convolution_epilogue(Capture& c) {
  size_t dropped = 0;
  const Readers readers(c);
  for (CapturedRecord& conv : c.records) {
    if (conv.op != &conv2d_op || !on_cpu(conv.out[0]) || is_rounded(conv.out[0])) continue;
    CapturedRecord* last = &conv;
    Conv2dEpilogueAttrs a{.conv = conv.attrs.as<Conv2dAttrs>(), .relu = false};
    std::vector<Value> norm_inputs(4);
    CapturedRecord* next = readers.only(*last, last->out[0], c);
    if (next && next->op == &batch_norm_eval_op && next->in[0].storage == last->out[0].storage) {
      a.eps = next->attrs.as<NormAttrs>().eps;
      norm_inputs.assign(next->in.begin() + 1, next->in.end());
      last = next;
      next = readers.only(*last, last->out[0], c);
    }
    if (next && next->op == &relu_op) {
      a.relu = true;
      last = next;
    }
    if (last == &conv) continue;
    std::vector<Value> in = conv.in;
    in.insert(in.end(), norm_inputs.begin(), norm_inputs.end());
    in.emplace_back();  // filters
    for (CapturedRecord* r = &conv; r != last;) {
      CapturedRecord* const after = readers.only(*r, r->out[0], c);
      r->dropped = true;
      ++dropped;
      r = after;
    }
    *last = {&conv2d_epilogue_op, a, std::move(in), last->out, last->kind};
  }
  return dropped;
}

// Winograd's transform of filters that stay as they are goes to the steady records, where it costs much: few tiles
// share it. Bounded, because transformed filters are 4 times as large.
size_t filters_once(Capture& c) {
  constexpr int64_t most_tiles = 256;
  constexpr size_t most_bytes = size_t{64} << 20;
  std::unordered_set<uint64_t> varying = c.mutated;
  for (size_t i = c.steady; i < c.records.size(); ++i)
    for (const Value& v : c.records[i].out) varying.insert(v.storage);
  std::vector<CapturedRecord> transforms;
  size_t bytes = 0;
  for (size_t i = c.steady; c.steady > 0 && i < c.records.size(); ++i) {
    CapturedRecord& r = c.records[i];
    const bool plain = r.op == &conv2d_op;
    if (r.dropped || r.kind != KernelKind::cpu || (!plain && r.op != &conv2d_epilogue_op)) continue;
    if (is_rounded(r.in[1])) continue;
    const Conv2dAttrs& a = plain ? r.attrs.as<Conv2dAttrs>() : r.attrs.as<Conv2dEpilogueAttrs>().conv;
    const Value& w = r.in[1];
    const Tensor& y = r.out[0].tensor;
    const int64_t tile = cpu::winograd_tile(a, w.tensor.shape(), y.dim(1), y.dim(2));
    if (tile == 0 || varying.contains(w.storage)) continue;
    const int64_t tiles = y.dim(0) * ((y.dim(1) + tile - 1) / tile) * ((y.dim(2) + tile - 1) / tile);
    const DryRun no_bytes;
    const Tensor u = Tensor::empty(cpu::filters_shape(tile, w.tensor.shape()), w.tensor.dtype());
    if (tiles > most_tiles || bytes + u.bytes() > most_bytes) continue;
    bytes += u.bytes();
    const Value filters{u.husk(), u.storage()->id(), 0};
    c.made[filters.storage] = u.bytes();
    transforms.push_back({&winograd_filters_op, WinogradAttrs{tile}, {w}, {filters}, r.kind});
    if (plain) {
      r.attrs = Conv2dEpilogueAttrs{.conv = a, .relu = false};
      r.op = &conv2d_epilogue_op;
      r.in.resize(8);
    }
    r.in[7] = filters;
  }
  c.records.insert(c.records.begin() + static_cast<std::ptrdiff_t>(c.steady), transforms.begin(), transforms.end());
  c.steady += transforms.size();
  return 0;
}

// Casts of weights that lie side by side become one cast of all of them; each keeps its place among them. A weight that
// an optimizer changes within the step is cast again, so a group ends where its storage is written.
size_t cast_together(Capture& c) {
  size_t dropped = 0;
  std::map<uint64_t, std::vector<CapturedRecord*>> groups;  // by the storage of the weights
  const auto close = [&](uint64_t storage) {
    const std::vector<CapturedRecord*> casts = std::exchange(groups[storage], {});
    size_t begin = SIZE_MAX, end = 0, wanted = 0;
    for (const CapturedRecord* r : casts) {
      begin = std::min(begin, r->in[0].begin());
      end = std::max(end, r->in[0].end());
      wanted += r->in[0].tensor.bytes();
    }
    if (casts.size() < 2 || end - begin > wanted + wanted / 4) return;  // too much between them that nobody reads
    CapturedRecord& first = *casts[0];
    const Tensor& w = first.in[0].tensor;
    const Tensor all = Tensor::on(w.storage(), begin, {static_cast<int64_t>((end - begin) / sizeof(float))}, w.dtype());
    const DryRun no_bytes;
    const Tensor y = Tensor::empty(all.shape(), DType::bf16, all.device());
    const uint64_t id = y.storage()->id();
    for (CapturedRecord* r : casts) {
      c.placed[r->out[0].storage] = {id, (r->in[0].begin() - begin) / 2, {}};
      r->dropped = r != &first;
    }
    c.made[id] = y.bytes();
    first.in = {{all, storage, begin}};
    first.out = {{y.husk(), id, 0}};
    dropped += casts.size() - 1;
  };
  for (size_t i = 0; i < c.records.size(); ++i) {
    CapturedRecord& r = c.records[i];
    for (size_t k = 0; k < r.in.size(); ++k) {
      if (r.op->inputs[std::min(k, r.op->inputs.size() - 1)].is(Arg::mutated)) close(r.in[k].storage);
    }
    const bool of_weight = r.op == &cast_op && !c.is_made(r.in[0]) && r.in[0].tensor.dtype() == DType::f32;
    if (of_weight && is_rounded(r.out[0])) groups[r.in[0].storage].push_back(&r);
  }
  for (const auto& [storage, casts] : groups) close(storage);
  return dropped;
}

// reshape copies, so that eager values never share bytes by surprise; in a plan both may be one, unless one changes.
size_t reshape_in_place(Capture& c) {
  size_t dropped = 0;
  for (CapturedRecord& r : c.records) {
    if (r.op != &reshape_op || !c.is_made(r.in[0])) continue;
    if (c.mutated.contains(r.in[0].storage) || c.mutated.contains(r.out[0].storage)) continue;
    c.placed[r.out[0].storage] = {r.in[0].storage, r.in[0].offset, {}};
    r.dropped = true;
    ++dropped;
  }
  return dropped;
}

// assign(into, x): x is computed in `into` from the start, when nothing else looks at x afterwards or at `into` before.
size_t gradient_in_place(Capture& c) {
  size_t dropped = 0;
  for (size_t i = 0; i < c.records.size(); ++i) {
    CapturedRecord& r = c.records[i];
    if (r.op != &assign_op || c.is_made(r.in[0]) || !c.is_made(r.in[1])) continue;
    const Value &into = r.in[0], &x = r.in[1];
    const Capture::Place root = c.resolve(x.storage, x.offset);
    if (root.outside || root.offset != 0 || c.made.at(root.storage) != x.tensor.bytes()) continue;
    bool free = is_last_use(c, i, root.storage);
    // From where x is made to here, nobody may touch this part of `into`.
    for (size_t k = maker_of(c, root.storage); k < i; ++k) {
      each_value(c.records[k], [&](const Value& v) {
        free &= v.storage != into.storage || v.end() <= into.begin() || v.begin() >= into.end();
      });
    }
    if (!free) continue;
    c.placed[root.storage] = {0, 0, into.tensor};
    r.dropped = true;
    ++dropped;
  }
  return dropped;
}

// A value that is computed element by element lies where one of its inputs lay that nobody reads afterwards: the sum of
// two gradients in the place of the first, the gradient of a norm in the place of dy.
size_t result_in_place(Capture& c) {
  struct Elementwise {
    const Op* op;
    std::vector<size_t> inputs;  // in whose place the result may lie
  };
  static const std::vector<Elementwise> ops = {
      {&add_op, {0, 1}},  {&add_relu_op, {0, 1}},     {&add_relu_grad_op, {1, 2}}, {&relu_op, {0}},
      {&dropout_op, {0}}, {&batch_norm_relu_op, {3}}, {&batch_norm_grad_op, {2}},  {&relu_grad_op, {1}}};
  for (size_t i = 0; i < c.records.size(); ++i) {
    const CapturedRecord& r = c.records[i];
    const auto known = std::find_if(ops.begin(), ops.end(), [&](const Elementwise& e) { return e.op == r.op; });
    if (r.dropped || known == ops.end()) continue;
    if (c.placed.contains(r.out[0].storage)) continue;
    for (const size_t k : known->inputs) {
      const Value& x = r.in[k];
      if (!x.tensor || !c.is_made(x) || x.tensor.bytes() != r.out[0].tensor.bytes()) continue;
      const Capture::Place root = c.resolve(x.storage, x.offset);
      if (root.outside || root.offset != 0 || c.made.at(root.storage) != x.tensor.bytes()) continue;
      const bool kept = i >= c.steady && maker_of(c, root.storage) < c.steady;  // for the next replay
      if (kept || !is_last_use(c, i, root.storage)) continue;
      c.placed[r.out[0].storage] = {root.storage, 0, {}};
      break;
    }
  }
  return 0;
}

constexpr Rule rules[] = {
    {"norm-relu", "a batch norm in training writes what the ReLU behind it would", norm_relu},
    {"norm-relu-gradient", "the gradient of that norm reads the ReLU's result instead of a masked dy",
     norm_relu_gradient},
    {"norm-add-relu", "such a norm also adds the other branch of a residual block", norm_add_relu},
    {"add-relu", "a sum writes what the ReLU behind it would", add_relu},
    {"add-relu-gradient", "the gradient of a ReLU adds the two that it is the sum of", add_relu_gradient},
    {"convolution-epilogue", "norm in evaluation and ReLU are applied before a convolution stores",
     convolution_epilogue},
    {"filters-once", "filters that stay for several replays are transformed once", filters_once},
    {"cast-together", "weights that lie side by side are cast to bf16 at once", cast_together},
    {"reshape-in-place", "the result of reshape lies where its input lies", reshape_in_place},
    {"update-in-backward", "the optimizer takes each gradient when it is made, not all of them at the end",
     update_in_backward},
    {"gradient-into-update", "the gradient of a linear layer's weights is made and used a few rows at a time",
     gradient_into_update},
    {"gradient-in-place", "a gradient is computed at its place in the flat buffer of all gradients", gradient_in_place},
    {"result-in-place", "an elementwise result lies where an input lay that nobody reads afterwards", result_in_place},
};

}  // namespace

std::span<const Rule> program_rules() { return rules; }

}  // namespace querent
