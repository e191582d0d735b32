// Labels as kernels read them: data, which nobody has checked.
#pragma once
#include "cuda/kernel.cuh"

namespace querent::cuda {

struct Labels {
  const int64_t* labels;
  int64_t classes;
  Fault* fault;
  const char* op;  // a literal of the host: the device only hands it back

  Labels(std::string_view name, const Call& c, const Tensor& t, int64_t n)
      : labels(t.data<int64_t>()), classes(n), fault(fault_slot(device_of(c))), op(name.data()) {}

  // Label i, or -1: ignored. One out of range is ignored too, and the first to be found is reported.
  __device__ int64_t at(int64_t i) const {
    const int64_t label = labels[i];
    if (label >= -1 && label < classes) return label;
    auto* const slot = reinterpret_cast<unsigned long long*>(&fault->op);
    if (atomicCAS(slot, 0ull, static_cast<unsigned long long>(reinterpret_cast<uintptr_t>(op))) == 0) {
      fault->label = label;
      fault->position = i;
      fault->classes = classes;
    }
    return -1;
  }
};

}  // namespace querent::cuda
