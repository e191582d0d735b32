// The rules that let an optimizer take each gradient as soon as backward has made it, so that no buffer of all gradients
// is needed and the place of one serves the next.
#include <algorithm>
#include <optional>

#include "tensor/capture.h"
#include "tensor/program_attrs.h"

namespace querent {

extern const Op assign_op, matmul_op, sgd_update_op, adam_update_op, matmul_update_op;

namespace {

// p, g, the moments, hyper.
bool is_update(const CapturedRecord& r) {
  return !r.dropped && r.kind != KernelKind::cuda && (r.op == &sgd_update_op || r.op == &adam_update_op);
}

bool overlap(const Value& a, const Value& b) {
  return a.tensor && b.tensor && a.storage == b.storage && a.begin() < b.end() && b.begin() < a.end();
}
template <class F>
bool any_value(const CapturedRecord& r, F f) {
  return !r.dropped && (std::any_of(r.in.begin(), r.in.end(), f) || std::any_of(r.out.begin(), r.out.end(), f));
}

bool is_asked_for(const Capture& c, uint64_t storage) {
  return std::any_of(c.results.begin(), c.results.end(), [&](const Value& v) { return v.storage == storage; }) ||
         std::any_of(c.guards.begin(), c.guards.end(), [&](const Capture::Guard& g) { return g.value.storage == storage; });
}

// The part of a tensor from outside that lies `bytes` behind its beginning, in the shape of `like`.
Value part_of(const Value& whole, size_t bytes, const Tensor& like) {
  const Tensor& t = whole.tensor;
  return {Tensor::on(t.storage(), whole.offset + bytes, like.shape(), t.dtype()), whole.storage, whole.offset + bytes};
}

// Which records assign the gradients that `update` reads, in the order of their places. None if anybody else looks at
// that buffer, if it was there before the step, or if a part of it is assigned by nobody.
std::vector<size_t> assigned(const Capture& c, size_t update) {
  const Value& g = c.records[update].in[1];
  if (c.is_made(g) || g.storage < c.first_storage || is_asked_for(c, g.storage)) return {};
  std::vector<size_t> list;
  for (size_t i = 0; i < c.records.size(); ++i) {
    const CapturedRecord& r = c.records[i];
    if (i == update || !any_value(r, [&](const Value& v) { return overlap(v, g); })) continue;
    const Value& into = r.in[0];
    if (r.op != &assign_op || i > update || into.begin() < g.begin() || into.end() > g.end()) return {};
    list.push_back(i);
  }
  const auto begin_of = [&](size_t i) { return c.records[i].in[0].begin(); };
  std::sort(list.begin(), list.end(), [&](size_t a, size_t b) { return begin_of(a) < begin_of(b); });
  const size_t padding = 15 * dtype_size(g.tensor.dtype());  // ParamSets round to 16 elements; what is between stays zero
  size_t end = g.begin();
  for (const size_t i : list) {
    if (begin_of(i) < end || begin_of(i) > end + padding) return {};
    end = c.records[i].in[0].end();
  }
  return g.end() <= end + padding ? list : std::vector<size_t>{};
}

// The update of what record `at` assigns, to be done there: none if anybody touches its tensors between there and the
// update of all, or if the step may still stop there.
std::optional<CapturedRecord> update_at(const Capture& c, size_t at, size_t update) {
  const CapturedRecord &all = c.records[update], &assign = c.records[at];
  const Value &into = assign.in[0], &x = assign.in[1], &hyper = all.in.back();
  CapturedRecord r{all.op, all.attrs, all.in, {}, all.kind};
  r.in[1] = x;
  for (size_t k = 0; k + 1 < all.in.size(); ++k) {
    if (k == 1) continue;
    if (c.is_made(all.in[k])) return {};
    r.in[k] = part_of(all.in[k], into.begin() - all.in[1].begin(), x.tensor);
  }
  for (size_t i = at + 1; i < update; ++i) {
    const auto is_touched = [&](const Value& v) {
      return overlap(v, r.in[0]) || overlap(v, r.in[2]) || (r.in.size() > 4 && overlap(v, r.in[3]));
    };
    if (any_value(c.records[i], is_touched)) return {};
  }
  const bool may_stop = std::any_of(c.guards.begin(), c.guards.end(),
                                    [&](const Capture::Guard& g) { return g.record > at && g.record <= update; });
  if (may_stop || c.is_made(hyper) || c.mutated.contains(hyper.storage)) return {};
  return r;
}

}  // namespace

size_t update_in_backward(Capture& c) {
  size_t dropped = 0;
  for (size_t u = 0; c.steady == 0 && u < c.records.size(); ++u) {
    if (!is_update(c.records[u])) continue;
    const std::vector<size_t> list = assigned(c, u);
    std::vector<CapturedRecord> updates;
    for (const size_t i : list)
      if (std::optional<CapturedRecord> r = update_at(c, i, u)) updates.push_back(std::move(*r));
    if (list.empty() || updates.size() < list.size()) continue;
    for (size_t k = 0; k < list.size(); ++k) c.records[list[k]] = std::move(updates[k]);
    c.records[u].dropped = true;
    ++dropped;
  }
  return dropped;
}

size_t gradient_into_update(Capture& c) {
  size_t dropped = 0;
  for (CapturedRecord& u : c.records) {
    if (!is_update(u)) continue;
    const uint64_t gradient = u.in[1].storage;
    CapturedRecord* product = nullptr;
    size_t users = 0;
    for (CapturedRecord& r : c.records) {
      users += any_value(r, [&](const Value& v) { return v.storage == gradient; });
      if (!r.dropped && r.op == &matmul_op && r.out[0].storage == gradient) product = &r;
    }
    if (!product || users != 2 || product->kind != u.kind || is_asked_for(c, gradient)) continue;
    const std::vector<Value>& of = product->in;
    const auto& of_product = product->attrs.as<MatmulAttrs>();
    // Other products with few rows are computed in another order (tensor/cpu/matmul.cpp).
    if (!of_product.transpose_a || of[2].tensor || u.in[0].tensor.rank() != 2 || c.mutated.contains(of[0].storage) || c.mutated.contains(of[1].storage)) continue;
    const bool adam = u.op == &adam_update_op;
    const MatmulUpdateAttrs a{of_product, adam && u.attrs.as<AdamAttrs>().decoupled};
    u.in = {u.in[0], of[0], of[1], u.in[2], adam ? u.in[3] : Value{}, u.in.back()};
    u.op = &matmul_update_op;
    u.attrs = a;
    product->dropped = true;
    ++dropped;
  }
  return dropped;
}

}  // namespace querent
