// The rewrites a Program may apply to its records.
#include <algorithm>

#include "tensor/capture.h"

namespace querent {

extern const Op reshape_op, assign_op;

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
    // Everything that lies in the root's place must be gone after this record.
    bool free = !c.mutated.contains(root.storage);
    for (const auto& [storage, bytes] : c.made)
      free = free && (c.resolve(storage, 0).storage != root.storage || !used_after(c, i, storage));
    // From where x is made to here, nobody may touch this part of `into`.
    size_t first = i;
    while (first > 0 && std::none_of(c.records[first].out.begin(), c.records[first].out.end(),
                                     [&](const Value& v) { return v.storage == root.storage; }))
      --first;
    for (size_t k = first; k < i; ++k) {
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

constexpr Rule rules[] = {
    {"reshape-in-place", "the result of reshape lies where its input lies", reshape_in_place},
    {"gradient-in-place", "a gradient is computed at its place in the flat buffer of all gradients", gradient_in_place},
};

}  // namespace

std::span<const Rule> program_rules() { return rules; }

}  // namespace querent
