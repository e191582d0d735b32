// The CUDA runtime as the rest of cuda/ uses it: checked calls, owned handles, one stream per device, launches.
// Memory comes from tensor/storage.h: a workspace is Storage::allocate(bytes, device), whose pool serves GPUs too.
#pragma once
#include <cuda_runtime.h>

#include <array>
#include <memory>
#include <mutex>
#include <string_view>

#include "tensor/op.h"

namespace querent::cuda {

// Throws "cuda: softmax: cudaLaunchKernel: invalid argument; on f32[3,5] f32[3]" unless `code` is success.
void cuda_check(cudaError_t code, std::string_view call, std::string_view op = {}, Inputs tensors = {});

template <auto destroy>
struct Destroy {
  template <class T>
  void operator()(T* handle) const {
    static_cast<void>(destroy(handle));
  }
};
using Stream = std::unique_ptr<CUstream_st, Destroy<cudaStreamDestroy>>;
using Event = std::unique_ptr<CUevent_st, Destroy<cudaEventDestroy>>;
using Graph = std::unique_ptr<CUgraph_st, Destroy<cudaGraphDestroy>>;
using GraphExec = std::unique_ptr<CUgraphExec_st, Destroy<cudaGraphExecDestroy>>;
Stream make_stream();
Event make_event();  // orders work, keeps no time

// Makes `device` the current one of this thread and returns the stream that all of its work goes through.
cudaStream_t stream(Device device);

constexpr size_t max_devices = 16;
// One T for each device, made at first use while that device is current and never destroyed: the driver may be gone by
// then. For handles of libraries and caches of plans.
template <class T>
T& per_device(Device device) {
  static std::array<T*, max_devices> all{};
  static std::recursive_mutex mutex;
  stream(device);
  const std::lock_guard lock(mutex);
  T*& one = all[static_cast<size_t>(device.index)];
  if (!one) one = std::make_unique<T>().release();
  return *one;
}

// For the Backend.
std::string library_versions();
Kernel* kernel_named(std::string_view name);

int64_t synchronisations();  // times the host waited for a device since the program began

// A place in pinned memory where a kernel reports what is wrong in its data; the next copy to the host throws it:
// "cross_entropy: label 7 at position 3 is not in 0..2, nor -1 for 'ignored'".
struct Fault {
  const char* op;  // null: nothing is wrong
  int64_t label, position, classes;
};
Fault* fault_slot(Device device);

// Where a kernel's tensors lie.
inline Device device_of(const Call& c) { return (c.out.empty() ? c.in[0] : c.out[0]).device(); }

// Starts kernel<<<grid, block>>>(arguments...) for `op` on the device of the call; an empty grid starts nothing.
template <class... P, class... A>
void launch(std::string_view op, const Call& c, void (*kernel)(P...), dim3 grid, dim3 block, A... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.stream = stream(device_of(c));
  cuda_check(cudaLaunchKernelEx(&config, kernel, arguments...), "cudaLaunchKernel", op, c.in);
}

}  // namespace querent::cuda
