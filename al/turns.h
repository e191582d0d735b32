// Work on many cases that ranks (tensor/collective.h) share: they take its batches in turn and tell each other.
#pragma once
#include <algorithm>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "tensor/collective.h"

namespace querent::al {

// A value as bytes for the other ranks, which read it with the same binary: plain values, strings and vectors of these.
template <class T>
requires std::is_trivially_copyable_v<T>
void put(std::string& to, const T& value) { to.append(reinterpret_cast<const char*>(&value), sizeof value); }
template <class T>
requires std::is_trivially_copyable_v<T>
void take(std::string_view& from, T& value) {
  std::memcpy(&value, from.data(), sizeof value);
  from.remove_prefix(sizeof value);
}
template <class Elements>
concept Sequence = requires(Elements e) {
  e.resize(e.size()), std::span(e);
};
template <Sequence Elements>
void put(std::string& to, const Elements& values) {
  put(to, values.size());
  to.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof *values.data());
}
template <Sequence Elements>
void take(std::string_view& from, Elements& values) {
  size_t n = 0;
  take(from, n);
  values.resize(n);
  const size_t bytes = n * sizeof *values.data();
  if (bytes > 0) std::memcpy(values.data(), from.data(), bytes);
  from.remove_prefix(bytes);
}

// What look(first, batch) fills in for each case 0..n-1, in batches of `together`: all ranks have all of it, and the
// same bits as one rank alone. Empty when stop(), asked before each turn, says so.
template <class Case>
std::vector<Case> in_turns(size_t n, size_t together, const std::function<bool()>& stop,
                           const std::function<void(size_t first, std::span<Case> batch)>& look) {
  const auto ranks = static_cast<size_t>(collective().size), rank = static_cast<size_t>(collective().rank);
  std::vector<Case> cases(n);
  const auto batch = [&](size_t first) {
    return std::span(cases).subspan(std::min(first, n), std::min(together, n - std::min(first, n)));
  };
  for (size_t turn = 0; turn < n; turn += together * ranks) {
    if (stop && stop()) return {};
    const size_t first = turn + together * rank;
    if (first < n) look(first, batch(first));
    if (ranks == 1) continue;
    std::string mine;
    for (const Case& c : batch(first)) put(mine, c);
    const std::vector<std::string> said = gather(mine);
    for (size_t k = 0; k < ranks; ++k) {
      std::string_view theirs = said[k];
      for (Case& c : batch(turn + together * k)) take(theirs, c);
    }
  }
  return cases;
}

}  // namespace querent::al
