// A tensor on its way to a device while that device works on something else. Any thread may send; the thread that
// computes receives.
#pragma once
#include <memory>

#include "tensor/tensor.h"

namespace querent {

class Transfer {
 public:
  Transfer() = default;
  // On its way at once when it is to go from the host to a GPU; otherwise, and for "none", receive() is t.to(device).
  Transfer(const Tensor& t, Device device);
  Tensor receive() const;

 private:
  Tensor tensor_;  // its husk while the bytes are on their way
  Device device_;
  std::shared_ptr<void> sent_;
};

}  // namespace querent
