// What a device other than the CPU offers the engine: memory, copies, waiting, kernels. cuda/runtime.cpp fills the
// table, so that no CUDA header reaches tensor/.
#pragma once
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/op.h"

namespace querent {

struct DeviceMemory {
  size_t free, total;  // bytes
};

// A device works through what it is given in order: kernels, copies and fills need no waiting between them.
struct Backend {
  int devices = 0;                                   // how many this machine has
  std::string missing;                               // why there are none, as part of an error; empty when there are
  std::string versions;                              // "driver for CUDA 13.0, CUDA 13.0, cuDNN 9.19.0, cuBLASLt 13.1.0"
  std::byte* (*allocate)(size_t bytes, int device);  // 256-byte aligned; null when it does not fit
  void (*release)(std::byte* block, int device);     // waits for the device's work
  // One of the two may be the CPU. Host memory may be reused on return; a copy to the host waits for the device.
  void (*copy)(void* to, Device to_device, const void* from, Device from_device, size_t bytes);
  // From host memory, beside the device's other work: begun by any thread, and the memory may be reused on return. What
  // it gives is handed to receive(), which puts the bytes where they are wanted, in order with that work (transfer.h).
  std::shared_ptr<void> (*send)(const void* from, size_t bytes, int device);
  void (*receive)(void* to, void* sent, size_t bytes, int device);
  void (*fill)(void* to, int byte, size_t bytes, int device);
  void (*synchronize)(int device);
  void (*raise_faults)(int device);  // throws what finished kernels found wrong in their data: a label out of range
  // Records what `work` gives the device, without doing it; launch() does it all at once, as often as wanted. Blocks
  // that the work takes from the pool and leaves are no tensor's for as long as a recording lives (PoolPin).
  std::shared_ptr<void> (*record)(const std::function<void()>& work, int device);
  void (*launch)(void* recording, int device);
  DeviceMemory (*memory)(int device);
  std::string (*name)(int device);           // "NVIDIA H100 80GB HBM3, compute capability 9.0"
  Kernel* (*kernel)(std::string_view name);  // of CUDA_KERNELS (kernels.h)
};

namespace cuda {
// Of cuda/ where a program links it, as the emulator's tests do; else of libquerent_cuda.so, which is loaded when
// somebody first asks for a device that is not the CPU. No devices where it is missing or broken.
const Backend& backend();
}  // namespace cuda

// The backend of a CUDA device, or an Error that says what this build or machine lacks.
const Backend& backend(Device device);

std::vector<Device> devices();  // the CPU, then each GPU that can be used
// cpu | cuda | cuda:1 | auto (a GPU where there is one); an Error unless it can be used. Ranks (collective.h) share out
// the GPUs of their machine.
Device parse_device(std::string_view name);
std::string device_name(Device device);  // "cpu", or the backend's

// Where networks of this process are made and compute unless told otherwise; the CPU until set.
void set_compute_device(Device device);
Device compute_device();
// What the layers of networks made from now on compute in: f32, or bf16 with f32 weights; f32 until set.
void set_compute_dtype(DType type);
DType compute_dtype();

// The same for either kind of memory; to and from may overlap on the CPU.
void copy_bytes(void* to, Device to_device, const void* from, Device from_device, size_t bytes);
void fill_bytes(void* to, int byte, size_t bytes, Device device);

}  // namespace querent
