#include "tensor/tensor.h"

#include <atomic>
#include "tensor/backend.h"
#include "tensor/visit.h"

namespace querent {
namespace {

thread_local bool dry_run = false;
thread_local bool host_access = true;

void check_host_access(const char* what, const Tensor& t) {
  check(host_access, "program: {} of {} inside a captured step; make it an op, or an input or result of the step", what,
        t);
}

uint64_t next_id() {
  static std::atomic<uint64_t> counter{0};
  return ++counter;
}

template <class To, class From>
void convert(const Tensor& to, const From* from) {
  To* out = to.data<To>();
  const int64_t n = to.numel();
  for (int64_t i = 0; i < n; ++i) out[i] = element_cast<To>(from[i]);
}

template <class From>
Tensor from_values(std::span<const From> values, Shape shape, DType dtype) {
  check(static_cast<int64_t>(values.size()) == shape.numel(), "tensor: {} values cannot fill shape {}", values.size(),
        shape);
  Tensor t = Tensor::empty(shape, dtype);
  if (t.has_data()) visit_dtype(dtype, [&]<class T>() { convert<T>(t, values.data()); });
  return t;
}

}  // namespace

HostAccess::HostAccess(bool allowed) : before_(host_access) { host_access = allowed; }
HostAccess::~HostAccess() { host_access = before_; }

DryRun::DryRun() : before_(dry_run) { dry_run = true; }
DryRun::~DryRun() { dry_run = before_; }
bool DryRun::active() { return dry_run; }

Tensor Tensor::make(Shape shape, DType dtype, Device device) {
  for (const int64_t size : shape) check(size >= 0, "tensor: {} has a negative size", shape);
  Tensor t;
  t.body_ = std::make_shared<Body>();
  t.body_->shape = shape;
  t.body_->dtype = dtype;
  t.body_->device = device;
  t.body_->id = next_id();
  return t;
}
Tensor Tensor::empty(Shape shape, DType dtype, Device device) {
  Tensor t = make(shape, dtype, device);
  t.body_->storage = dry_run ? Storage::promise(t.bytes(), device) : Storage::allocate(t.bytes(), device);
  return t;
}
Tensor Tensor::zeros(Shape shape, DType dtype, Device device) {
  Tensor t = make(shape, dtype, device);
  t.body_->storage = dry_run ? Storage::promise(t.bytes(), device) : Storage::allocate_zeros(t.bytes(), device);
  return t;
}
Tensor Tensor::full(Shape shape, double value, DType dtype, Device device) {
  Tensor t = empty(shape, dtype, device);
  t.fill(value);
  return t;
}
Tensor Tensor::from(std::span<const float> values, Shape shape, DType dtype) {
  return from_values(values, shape, dtype);
}
Tensor Tensor::from(std::span<const double> values, Shape shape, DType dtype) {
  return from_values(values, shape, dtype);
}
Tensor Tensor::from(std::span<const int64_t> values, Shape shape) { return from_values(values, shape, DType::i64); }

void* Tensor::raw() const {
  internal_check(has_data(), "tensor: {} has no bytes (a released or dry-run tensor was read)", *this);
  return body_->storage->data() + body_->offset;
}

Tensor Tensor::reshaped(Shape shape) const {
  check(shape.numel() == numel(), "reshape: {} elements cannot become {}; x={}", numel(), shape, *this);
  Tensor t = make(shape, dtype(), device());
  t.body_->storage = body_->storage;
  t.body_->offset = body_->offset;
  return t;
}
Tensor Tensor::batch(int64_t first, int64_t count) const {
  check(rank() > 0 && first >= 0 && count >= 0 && first + count <= dim(0), "batch: rows {}..{} are outside {}", first,
        first + count, *this);
  Shape shape = body_->shape;
  const int64_t row = dim(0) == 0 ? 0 : numel() / dim(0);
  shape[0] = count;
  Tensor t = make(shape, dtype(), device());
  t.body_->storage = body_->storage;
  t.body_->offset = body_->offset + static_cast<size_t>(first * row) * dtype_size(dtype());
  return t;
}

Tensor Tensor::to(Device device) const {
  if (device == this->device()) return *this;
  Tensor t = empty(shape(), dtype(), device);
  t.body_->name = body_->name;
  if (t.has_data()) t.copy_from(*this);
  return t;
}
std::vector<float> Tensor::host() const {
  check_host_access("host()", *this);
  const Tensor t = to(Device::cpu());
  std::vector<float> v(static_cast<size_t>(numel()));
  visit_dtype(dtype(), [&]<class T>() {
    const T* p = t.data<T>();
    for (size_t i = 0; i < v.size(); ++i) v[i] = element_cast<float>(p[i]);
  });
  return v;
}
std::vector<double> Tensor::host_f64() const {
  check_host_access("host()", *this);
  const Tensor t = to(Device::cpu());
  std::vector<double> v(static_cast<size_t>(numel()));
  visit_dtype(dtype(), [&]<class T>() {
    const T* p = t.data<T>();
    for (size_t i = 0; i < v.size(); ++i) v[i] = element_cast<double>(p[i]);
  });
  return v;
}
Tensor Tensor::clone() const {
  Tensor t = empty(shape(), dtype(), device());
  if (t.has_data()) copy_bytes(t.raw(), device(), raw(), device(), bytes());
  t.body_->name = body_->name;
  return t;
}
Tensor Tensor::cast(DType to) const {
  if (device() != Device::cpu()) return this->to(Device::cpu()).cast(to).to(device());
  Tensor t = empty(shape(), to);
  if (!t.has_data()) return t;
  visit_dtype(dtype(), [&]<class From>() {
    const From* from = data<From>();
    visit_dtype(to, [&]<class To>() { convert<To>(t, from); });
  });
  return t;
}
void Tensor::copy_from(const Tensor& source) const {
  check_host_access("copy_from()", *this);
  check(source.shape() == shape() && source.dtype() == dtype(), "copy: {} cannot take the values of {}", *this, source);
  if (!has_data()) return;
  copy_bytes(raw(), device(), source.raw(), source.device(), bytes());
  if (device() == Device::cpu() && source.device() != device())
    backend(source.device()).raise_faults(source.device().index);
}
void Tensor::fill(double value) const {
  if (!has_data()) return;
  if (device() != Device::cpu()) {
    const Tensor host = full(shape(), value, dtype());
    return copy_bytes(raw(), device(), host.raw(), host.device(), bytes());
  }
  visit_dtype(dtype(), [&]<class T>() {
    T* p = data<T>();
    const int64_t n = numel();
    for (int64_t i = 0; i < n; ++i) p[i] = element_cast<T>(value);
  });
}
double Tensor::item() const {
  check(numel() == 1, "tensor: item() needs one element, {} has {}", *this, numel());
  return host_f64()[0];
}

Tensor& Tensor::named(std::string name) {
  body_->name = std::move(name);
  return *this;
}
Tensor& Tensor::as_parameter(std::string name) {
  body_->parameter = true;
  return named(std::move(name));
}
Tensor Tensor::husk() const {
  Tensor t;
  t.body_ = std::make_shared<Body>(*body_);
  t.body_->storage = nullptr;
  return t;
}
void Tensor::rebind(std::shared_ptr<Storage> storage, size_t byte_offset) const {
  internal_check(byte_offset + bytes() <= storage->bytes(), "tensor: {} does not fit its new storage", *this);
  body_->storage = std::move(storage);
  body_->offset = byte_offset;
}
Tensor Tensor::on(std::shared_ptr<Storage> storage, size_t byte_offset, Shape shape, DType dtype) {
  Tensor t = make(shape, dtype, storage->device());
  t.rebind(std::move(storage), byte_offset);
  return t;
}

std::ostream& operator<<(std::ostream& os, const Tensor& t) {
  if (!t) return os << "none";
  if (!t.name().empty()) os << '\'' << t.name() << "' ";
  return os << t.dtype() << t.shape();
}

}  // namespace querent
