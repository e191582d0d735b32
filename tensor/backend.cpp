#include "tensor/backend.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "tensor/collective.h"
#include "tensor/error.h"
#include "tensor/kernels.h"
#include "tensor/module.h"

namespace querent {

// Weak: a program that links cuda/ has its definitions instead of these.
namespace cuda {
[[gnu::weak]] const Backend& backend() {
  static const Backend of_module = [] {
    const Module m = open_module("libquerent_cuda.so", "querent_cuda");
    if (m.entry) return *reinterpret_cast<const Backend* (*)()>(m.entry)();
    Backend none{};
    none.missing = m.built ? text("the CUDA backend cannot be loaded: {} (docs/install.md)", m.missing)
                           : "this build has no CUDA backend, -DQUERENT_CUDA=ON makes one";
    return none;
  }();
  return of_module;
}

#define OF_THE_MODULE(name)                                \
  [[gnu::weak]] void name(const Call& c) {                 \
    static Kernel* const kernel = backend().kernel(#name); \
    kernel(c);                                             \
  }
CUDA_KERNELS(OF_THE_MODULE)
#undef OF_THE_MODULE
}  // namespace cuda

const Backend& backend(Device device) {
  internal_check(device.kind == Device::Kind::cuda, "device: {} has no backend", device);
  const Backend& b = cuda::backend();
  check(b.devices > 0, "device: {} is not available: {}; use cpu, or see 'querent doctor'", device, b.missing);
  check(device.index >= 0 && device.index < b.devices, "device: {} does not exist, this machine has cuda:0..cuda:{}",
        device, b.devices - 1);
  return b;
}

std::vector<Device> devices() {
  std::vector<Device> all{Device::cpu()};
  for (int i = 0; i < cuda::backend().devices; ++i) all.push_back(Device::cuda(i));
  return all;
}

Device parse_device(std::string_view name) {
  if (name == "cpu") return Device::cpu();
  const int gpus = cuda::backend().devices;
  if (name == "auto" && gpus == 0) return Device::cpu();
  Device device = Device::cuda(collective().rank % std::max(gpus, 1));
  if (name != "cuda" && name != "auto") {
    const std::string_view digits = name.substr(std::min<size_t>(name.size(), 5));
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), device.index);
    check(name.starts_with("cuda:") && error == std::errc() && end == digits.data() + digits.size(),
          "device: '{}' is not a device; valid: cpu, cuda, cuda:N, auto", name);
  }
  backend(device);
  return device;
}

std::string device_name(Device device) {
  return device == Device::cpu() ? "cpu" : backend(device).name(device.index);
}

namespace {
Device chosen_device;
DType chosen_dtype = DType::f32;
}  // namespace
void set_compute_device(Device device) { chosen_device = device; }
Device compute_device() { return chosen_device; }
void set_compute_dtype(DType type) {
  check(type == DType::f32 || type == DType::bf16, "networks compute in f32 or bf16, not {}", type);
  chosen_dtype = type;
}
DType compute_dtype() { return chosen_dtype; }

void copy_bytes(void* to, Device to_device, const void* from, Device from_device, size_t bytes) {
  if (bytes == 0) return;
  if (to_device == Device::cpu() && from_device == Device::cpu()) {
    std::memmove(to, from, bytes);
  } else {
    backend(to_device == Device::cpu() ? from_device : to_device).copy(to, to_device, from, from_device, bytes);
  }
}

void fill_bytes(void* to, int byte, size_t bytes, Device device) {
  if (bytes == 0) return;
  if (device == Device::cpu())
    std::memset(to, byte, bytes);
  else
    backend(device).fill(to, byte, bytes, device.index);
}

}  // namespace querent
