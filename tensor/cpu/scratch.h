// Memory that a kernel takes for the time of a call. A Program lends a part of its arena that no value needs at that
// step (Workspace); what does not fit there, and eager calls, take from the pool.
#pragma once
#include <cstdint>

#include "tensor/tensor.h"

namespace querent::cpu {

// While one lives, kernels that this thread calls take from the bytes of `memory`, which may be none.
class Workspace {
 public:
  explicit Workspace(const Tensor& memory);
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

 private:
  std::byte *begin_, *end_;  // of what was lent before
};

constexpr int64_t scratch_step = 16;  // floats: takings are aligned to vectors and rounded up to so many

// Not zeroed. The last one taken is the first one given back.
class Scratch {
 public:
  explicit Scratch(int64_t floats) : Scratch(floats, 1) {}
  static Scratch per_thread(int64_t floats);  // taken before a parallel region, used in it by mine()
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  float* data() const { return data_; }
  float* mine() const;

 private:
  Scratch(int64_t floats, int64_t parts);
  int64_t each_;
  Tensor pooled_;  // when it comes from the pool
  float* data_;
};

}  // namespace querent::cpu
