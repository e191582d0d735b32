// The sizes of a tensor's axes, outermost first. At most six axes; a scalar has none. Also used for lists of axes.
#pragma once
#include <array>
#include <cstdint>
#include <initializer_list>
#include <ostream>

#include "tensor/error.h"

namespace querent {

class Shape {
 public:
  static constexpr int max_rank = 6;
  Shape() = default;
  Shape(std::initializer_list<int64_t> sizes) {
    for (const int64_t s : sizes) push_back(s);
  }
  int rank() const { return rank_; }
  // Axis i; negative i counts from the end (-1 is the last axis).
  int64_t operator[](int i) const { return sizes_[static_cast<size_t>(i < 0 ? i + rank_ : i)]; }
  int64_t& operator[](int i) { return sizes_[static_cast<size_t>(i < 0 ? i + rank_ : i)]; }
  int64_t numel() const {
    int64_t n = 1;
    for (int i = 0; i < rank_; ++i) n *= sizes_[static_cast<size_t>(i)];
    return n;
  }
  void push_back(int64_t size) {
    check(rank_ < max_rank, "shape: at most {} axes are supported", max_rank);
    sizes_[static_cast<size_t>(rank_++)] = size;
  }
  const int64_t* begin() const { return sizes_.data(); }
  const int64_t* end() const { return sizes_.data() + rank_; }
  bool operator==(const Shape& o) const = default;

 private:
  std::array<int64_t, max_rank> sizes_{};
  int rank_ = 0;
};

inline std::ostream& operator<<(std::ostream& os, const Shape& s) {
  os << '[';
  for (int i = 0; i < s.rank(); ++i) os << (i ? "," : "") << s[i];
  return os << ']';
}

}  // namespace querent
