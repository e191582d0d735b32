// A tensor: shape + element type + bytes. Always contiguous and row-major; images are [N,H,W,C].
//
// A Tensor is a handle: copying it shares the bytes. The default-constructed Tensor means "not given" (no bias, say).
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tensor/device.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"
#include "tensor/storage.h"

namespace querent {

class Tensor {
 public:
  Tensor() = default;
  static Tensor empty(Shape shape, DType dtype = DType::f32, Device device = Device::cpu());  // bytes unspecified
  static Tensor zeros(Shape shape, DType dtype = DType::f32, Device device = Device::cpu());
  static Tensor full(Shape shape, double value, DType dtype = DType::f32, Device device = Device::cpu());
  // Copies host values, converting each to `dtype`. values.size() must equal shape.numel().
  static Tensor from(std::span<const float> values, Shape shape, DType dtype = DType::f32);
  static Tensor from(std::span<const double> values, Shape shape, DType dtype = DType::f64);
  static Tensor from(std::span<const int64_t> values, Shape shape);

  explicit operator bool() const { return body_ != nullptr; }
  const Shape& shape() const { return body_->shape; }
  int rank() const { return body_->shape.rank(); }
  int64_t dim(int axis) const { return body_->shape[axis]; }
  int64_t numel() const { return body_->shape.numel(); }
  DType dtype() const { return body_->dtype; }
  Device device() const { return body_->device; }
  size_t bytes() const { return static_cast<size_t>(numel()) * dtype_size(dtype()); }
  bool has_data() const { return body_ && body_->storage && body_->storage->data(); }  // not a husk, nor of a DryRun

  void* raw() const;  // the bytes; an internal Error when there are none
  template <class T>
  T* data() const {  // the elements; T must be the element type
    internal_check(dtype_of<T> == dtype(), "tensor: asked for {} elements of a {} tensor", dtype_of<T>, dtype());
    return static_cast<T*>(raw());
  }

  // The only two views. They share bytes and are not recorded on a tape (the ops reshape() and crop() are).
  Tensor reshaped(Shape shape) const;
  Tensor batch(int64_t first, int64_t count) const;  // rows first..first+count-1 of axis 0

  Tensor to(Device device) const;
  std::vector<float> host() const;  // all elements as float (i64 beyond 2^24 lose digits: use host_f64)
  std::vector<double> host_f64() const;
  Tensor clone() const;                        // a copy with bytes of its own; same name
  Tensor cast(DType dtype) const;              // a copy with another element type (bf16 rounds to nearest even)
  void copy_from(const Tensor& source) const;  // overwrite the bytes; same shape and dtype
  void fill(double value) const;
  double item() const;  // the value of a one-element tensor

  // Identity: each result of empty() or an op has a number of its own; handles share it. Tapes key gradients by it.
  uint64_t id() const { return body_->id; }
  const std::string& name() const { return body_->name; }  // "" unless a parameter or named
  bool is_parameter() const { return body_->parameter; }
  Tensor& named(std::string name);
  Tensor& as_parameter(std::string name);  // gradients may be asked for it without watch()

  Tensor husk() const;  // same identity, shape and dtype, no bytes: what a tape keeps of data no gradient reads
  void rebind(std::shared_ptr<Storage> storage, size_t byte_offset) const;  // move all handles to other bytes (Params)
  static Tensor on(std::shared_ptr<Storage> storage, size_t byte_offset, Shape shape, DType dtype);
  const std::shared_ptr<Storage>& storage() const { return body_->storage; }
  size_t byte_offset() const { return body_->offset; }  // of the first element in the storage

 private:
  struct Body {
    std::shared_ptr<Storage> storage;
    size_t offset = 0;
    Shape shape;
    DType dtype = DType::f32;
    Device device;
    uint64_t id = 0;
    std::string name;
    bool parameter = false;
  };
  std::shared_ptr<Body> body_;
  static Tensor make(Shape shape, DType dtype, Device device);
};

using Tensors = std::vector<Tensor>;
using Inputs = std::span<const Tensor>;

// "'conv1.weight' f32[64,7,7,3]", "f32[2,3]" or "none": for error messages.
std::ostream& operator<<(std::ostream& os, const Tensor& t);

// Whether this thread may read and overwrite values outside of ops: host(), item(), copy_from(). Forbidden inside a
// captured step (program.h), whose replay would not do it again.
class HostAccess {
 public:
  explicit HostAccess(bool allowed);
  ~HostAccess();
  HostAccess(const HostAccess&) = delete;
  HostAccess& operator=(const HostAccess&) = delete;

 private:
  bool before_;
};

// While one lives, tensors of this thread get a promise instead of bytes and ops compute nothing: shapes, costs and
// records only.
class DryRun {
 public:
  DryRun();
  ~DryRun();
  DryRun(const DryRun&) = delete;
  DryRun& operator=(const DryRun&) = delete;
  static bool active();

 private:
  bool before_;
};

}  // namespace querent
