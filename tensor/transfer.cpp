#include "tensor/transfer.h"

#include "tensor/backend.h"

namespace querent {

Transfer::Transfer(const Tensor& t, Device device) : tensor_(t), device_(device) {
  if (device == Device::cpu() || !t.has_data() || t.bytes() == 0 || t.device() != Device::cpu()) return;
  sent_ = backend(device).send(t.raw(), t.bytes(), device.index);
  tensor_ = t.husk();
}

Tensor Transfer::receive() const {
  if (!sent_) return tensor_ ? tensor_.to(device_) : tensor_;
  const Tensor t = Tensor::empty(tensor_.shape(), tensor_.dtype(), device_);
  backend(device_).receive(t.raw(), sent_.get(), t.bytes(), device_.index);
  return t;
}

}  // namespace querent
