#include "tensor/cpu/scratch.h"

#include <omp.h>

#include "tensor/run.h"

namespace querent::cpu {
namespace {
thread_local std::byte *lent_begin = nullptr, *lent_end = nullptr;
}

Workspace::Workspace(const Tensor& memory) : begin_(lent_begin), end_(lent_end) {
  lent_begin = memory ? reinterpret_cast<std::byte*>(memory.data<float>()) : nullptr;
  lent_end = memory ? lent_begin + memory.bytes() : nullptr;
}
Workspace::~Workspace() { lent_begin = begin_, lent_end = end_; }

Scratch::Scratch(int64_t floats, int64_t parts)
    : each_((floats + scratch_step - 1) / scratch_step * scratch_step), data_(reinterpret_cast<float*>(lent_begin)) {
  const int64_t bytes = parts * each_ * static_cast<int64_t>(sizeof(float));
  if (bytes <= lent_end - lent_begin) {
    lent_begin += bytes;
  } else {
    pooled_ = Tensor::empty({parts * each_}, DType::f32);
    data_ = pooled_.data<float>();
  }
}
Scratch Scratch::per_thread(int64_t floats) { return {floats, threads()}; }
Scratch::~Scratch() {
  if (!pooled_) lent_begin = reinterpret_cast<std::byte*>(data_);
}
float* Scratch::mine() const { return data_ + omp_get_thread_num() * each_; }

}  // namespace querent::cpu
