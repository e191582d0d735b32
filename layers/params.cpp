#include "layers/params.h"

#include <algorithm>
#include <optional>

#include "layers/init.h"
#include "layers/layout.h"
#include "tensor/backend.h"
#include "tensor/rng.h"

namespace querent {
namespace {

constexpr int64_t arena_step = 16;  // elements: each parameter starts on a 64-byte boundary in f32

// A ParamSet of these tensors; `flat` is set if they lie side by side in `arena`, which starts at element `first`.
ParamSet subset(const ParamSet& all, const std::vector<size_t>& chosen) {
  ParamSet set;
  if (chosen.empty()) return set;
  const bool neighbours = chosen.back() - chosen.front() + 1 == chosen.size();
  const int64_t first = all.offsets[chosen.front()];
  for (const size_t i : chosen) {
    const int64_t numel = all.tensors[i].numel();
    set.tensors.push_back(all.tensors[i]);
    set.offsets.push_back(neighbours ? all.offsets[i] - first : set.total);
    set.total = set.offsets.back() + (numel + arena_step - 1) / arena_step * arena_step;
  }
  if (neighbours && all.flat) set.flat = all.flat.batch(first, set.total);
  return set;
}

// Piece by piece, so that the bytes are never in memory twice.
void move_bytes(const Tensor& from, std::byte* to) {
  constexpr size_t piece = size_t{8} << 20;
  for (size_t at = 0; at < from.bytes(); at += piece) {
    const size_t end = std::min(at + piece, from.bytes());
    copy_bytes(to + at, from.device(), static_cast<std::byte*>(from.raw()) + at, from.device(), end - at);
    from.storage()->forget(at, end);
  }
}

}  // namespace

std::string Scope::full(std::string_view name) const {
  return path_.empty() ? std::string(name) : path_ + "." + std::string(name);
}
Scope Scope::sub(std::string_view name) const { return Scope(params_, full(name)); }
int64_t Scope::site() const { return static_cast<int64_t>(hash_name(path_) >> 1); }
DType Scope::dtype() const { return params_->dtype_; }

Tensor Scope::parameter(std::string_view name, const Shape& shape, const Init& init, FileLayout layout) const {
  internal_check(!params_->set_.flat, "params: '{}' is added after all() fixed the arena", full(name));
  std::optional<DryRun> no_bytes;
  if (NoDraws::active()) no_bytes.emplace();
  Tensor t = Tensor::empty(shape, params_->dtype_, params_->device_);
  t.as_parameter(full(name));
  const Shape file = file_shape(shape, layout);
  initialise(t, init, file.rank() > 1 ? file[1] : 1, Rng(params_->seed_).fork(t.name()).key());
  params_->add({t, layout, true, false});
  return t;
}

Tensor Scope::buffer(std::string_view name, const Shape& shape, double value, DType dtype, bool optional) const {
  Tensor t = Tensor::full(shape, value, dtype, params_->device_);
  t.named(full(name));
  params_->add({t, {}, false, optional});
  params_->buffers_.push_back(t);
  return t;
}

Params::Params(Device device, uint64_t seed, DType dtype) : device_(device), seed_(seed), dtype_(dtype) {
  check(dtype == DType::f32 || dtype == DType::f64, "params: parameters are f32 or f64, not {}", dtype);
}

void Params::add(Entry entry) {
  const auto [at, is_new] = index_.emplace(entry.tensor.name(), entries_.size());
  internal_check(is_new, "params: the name '{}' is used twice", at->first);
  entries_.push_back(std::move(entry));
}

const Params::Entry* Params::entry(std::string_view name) const {
  const auto it = index_.find(name);
  return it == index_.end() ? nullptr : &entries_[it->second];
}

const ParamSet& Params::all() const {
  if (set_.flat) return set_;
  for (const Entry& e : entries_) {
    if (!e.trainable) continue;
    set_.tensors.push_back(e.tensor);
    set_.offsets.push_back(set_.total);
    set_.total += (e.tensor.numel() + arena_step - 1) / arena_step * arena_step;
  }
  if (DryRun::active()) {
    set_.flat = Tensor::empty({set_.total}, dtype_, device_);
    return set_;
  }
  set_.flat = Tensor::zeros({set_.total}, dtype_, device_);
  for (size_t i = 0; i < set_.tensors.size(); ++i) {
    const Tensor& t = set_.tensors[i];
    const size_t offset = static_cast<size_t>(set_.offsets[i]) * dtype_size(dtype_);
    if (t.has_data()) move_bytes(t, static_cast<std::byte*>(set_.flat.raw()) + offset);
    t.rebind(set_.flat.storage(), offset);
  }
  return set_;
}

ParamSet Params::where(const std::function<bool(const Tensor&)>& chosen) const {
  std::vector<size_t> places;
  const ParamSet& set = all();
  for (size_t i = 0; i < set.tensors.size(); ++i) {
    if (chosen(set.tensors[i])) places.push_back(i);
  }
  check(!places.empty(), "params: none of the {} parameters is chosen", set.tensors.size());
  return subset(set, places);
}

ParamSet Params::under(std::string_view prefix) const {
  const auto starts = [&](const Tensor& t) { return t.name().starts_with(prefix); };
  check(std::any_of(all().tensors.begin(), all().tensors.end(), starts), "params: no parameter's name starts with '{}'",
        prefix);
  return where(starts);
}

int64_t Params::count() const {
  int64_t n = 0;
  for (const Entry& e : entries_) n += e.trainable ? e.tensor.numel() : 0;
  return n;
}

Tensor Params::find(std::string_view name) const {
  const Entry* e = entry(name);
  return e ? e->tensor : Tensor{};
}

std::vector<std::string> Params::names() const {
  std::vector<std::string> out;
  for (const Entry& e : entries_) out.push_back(e.tensor.name());
  return out;
}

Shape Params::file_shape(std::string_view name) const {
  const Entry* e = entry(name);
  check(e != nullptr, "params: there is no '{}'", name);
  return querent::file_shape(e->tensor.shape(), e->layout);
}

}  // namespace querent
